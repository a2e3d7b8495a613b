"""A trained network as a file for other programs: StableHLO by jax.export, ONNX by jax2onnx, or its weights.

The first two are whole: they take decoded photographs uint8 [b, H, W, 3] of the stored size, for any b, and answer
with the probabilities of `skinjax predict`. The weights are a safetensors file under timm's names. Whatever is made is
run, and must answer as the predictor does before anybody gets it.
"""

import calendar
import contextlib
import dataclasses
import datetime
import importlib
import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

from skinjax import __version__
from skinjax.core.errors import UserError, first_line, lookup
from skinjax.core.portable import portable
from skinjax.core.settings import to_plain
from skinjax.data.pipeline import StoredSize
from skinjax.deploy.bundle import Names, filled, named_tensors, names_of, parts_of
from skinjax.deploy.predictor import Predictor
from skinjax.evaluation.calibration import SMALLEST
from skinjax.methods.ensemble import united
from skinjax.model import Model, make_shown_method, normalisation
from skinjax.models.pretrained.facts import Facts
from skinjax.models.pretrained.files import as_safetensors, tensors_of
from skinjax.models.pretrained.fitting import plan

Array = np.ndarray
Program = Callable[[Any], Any]  # photographs to probabilities

TOLERANCE = 1e-4  # of the answers, relative to those of the predictor
LEAST = 1e-6  # a smaller probability is compared as if it were this
MARK = "skinjax_export"  # in every file, so that no other is overwritten
PLATFORMS = ("cpu", "cuda", "tpu")
# jax reads what was exported with releases until six months after that of the jaxlib that made it.
RELEASED = {
    (0, 10, 0): datetime.date(2026, 4, 16),
    (0, 10, 1): datetime.date(2026, 5, 20),
    (0, 10, 2): datetime.date(2026, 6, 17),
    (0, 11, 0): datetime.date(2026, 7, 16),
    (0, 11, 1): datetime.date(2026, 8, 17),
    (0, 11, 2): datetime.date(2026, 9, 17),
    (0, 12, 0): datetime.date(2026, 10, 19),
}
MONTHS_READ = 6


@dataclasses.dataclass(frozen=True)
class Format:
    """A kind of file.

    make: its bytes for a predictor; run: the program that they are, given the predictor; needs: the modules that both
    import, and remedy: what brings them; about: what is said of it
    """

    make: Callable[[Predictor], bytes]
    run: Callable[[bytes, Predictor], Program]
    about: Callable[[Predictor], str]
    needs: tuple[str, ...] = ()
    remedy: str = ""


@dataclasses.dataclass(frozen=True)
class Export:
    """A file that answers as its predictor does, up to `difference`, and what is to be said of it."""

    data: bytes
    difference: float
    about: str


def export(predictor: Predictor, format: str) -> Export:
    """The model in a format of FORMATS, or a `UserError` that says why it cannot be had."""
    kind = lookup("format", format, FORMATS)
    check_needs(format)
    predictor = in_float32(predictor)
    with told_as_refusal(f"{architecture(predictor.model)} cannot be exported to {format}"):
        data = kind.make(predictor)
        difference = largest_difference(kind.run(data, predictor), predictor)
    if not difference <= TOLERANCE:
        raise UserError(
            f"{architecture(predictor.model)} answers otherwise as {format}, by {difference:.2g} of a probability "
            f"where {TOLERANCE:g} is allowed: nothing is written, choose another of {', '.join(FORMATS)}"
        )
    return Export(data, difference, kind.about(predictor))


def check_needs(format: str) -> None:
    """Refuse a format whose packages are not installed."""
    kind = lookup("format", format, FORMATS)
    for module in kind.needs:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UserError(f"--format={format} needs {module} ({first_line(error)}): {kind.remedy}") from error


def in_float32(predictor: Predictor) -> Predictor:
    """The predictor computing as a CPU does by itself, where the dtype is left to the platform."""

    def portable_spec(spec: Any) -> Any:
        return spec.replace(model=spec.model.replace(dtype="float32")) if spec.model.dtype == "auto" else spec

    model = predictor.model
    members = tuple(of._replace(spec=portable_spec(of.spec)) for of in model.members)
    return dataclasses.replace(
        predictor, model=dataclasses.replace(model, spec=portable_spec(model.spec), members=members)
    )


def program_of(predictor: Predictor) -> Program:
    """Photographs uint8 [b, H, W, 3] to the probabilities [b, classes] after the bundle's temperature."""
    model, temperature = predictor.model, temperature_of(predictor)

    def answer(images: Any) -> Any:
        with portable():
            outputs = model.method.predict(model.variables, images)
        if "probabilities" not in outputs:
            raise UserError(f"the method {model.spec.method.name} tells no classes")
        probabilities = outputs["probabilities"].astype(jnp.float32)
        if temperature == 1:
            return probabilities
        logits = jnp.log(jnp.maximum(probabilities, np.float32(SMALLEST)))
        return jax.nn.softmax(logits * np.float32(1 / temperature))

    answer.__name__ = MARK
    return answer


def photographs(stored: StoredSize) -> jax.ShapeDtypeStruct:
    """What the program takes: any number of photographs of the stored size."""
    (batch,) = jax.export.symbolic_shape("b")
    return jax.ShapeDtypeStruct((batch, stored.height, stored.width, 3), jnp.uint8)


def largest_difference(program: Program, predictor: Predictor) -> float:
    """How far answers to noise and to the bundle's examples are from the predictor's, relative to each probability."""
    model, bundle = predictor.model, predictor.bundle
    stored = model.spec.stored_size
    noise = np.random.default_rng(0).integers(0, 256, (3, stored.height, stored.width, 3), np.uint8)
    examples = [model.read(bundle.files[name], name) for name in bundle.manifest.examples] if bundle else []
    images = np.stack([*noise, *examples])
    expected = predictor.ask(images).probabilities
    found = np.concatenate([np.asarray(program(part)) for part in (images[:1], images[1:])])  # two sizes of a batch
    return float(np.max(np.abs(found - expected) / np.maximum(expected, LEAST)))


def make_stablehlo(predictor: Predictor) -> bytes:
    exported = jax.export.export(jax.jit(program_of(predictor)), platforms=PLATFORMS)(
        photographs(predictor.model.spec.stored_size)
    )
    return bytes(exported.serialize())


def run_stablehlo(data: bytes, predictor: Predictor) -> Program:
    return jax.export.deserialize(bytearray(data)).call


def make_onnx(predictor: Predictor) -> bytes:
    import jax2onnx

    logging.getLogger("onnx_ir").setLevel(logging.ERROR)  # which tells of every constant
    with warnings.catch_warnings(action="ignore"):
        model = jax2onnx.to_onnx(
            program_of(predictor),
            [photographs(predictor.model.spec.stored_size)],
            model_name=MARK,
            input_names=["images"],
            output_names=["probabilities"],
        )
    for key, value in facts_of(predictor).items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString()


def run_onnx(data: bytes, predictor: Predictor) -> Program:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["probabilities"], {"images": images})[0]


def make_safetensors(predictor: Predictor) -> bytes:
    model = predictor.model
    spec, (padding, epsilon) = model.spec, plan(model.spec.model.backbone).built
    mean, std = normalisation(spec, model.facts)
    facts = Facts(spec.model.backbone, len(model.classes), mean, std, spec.views.size, spec.stored_size.filter)
    facts = dataclasses.replace(facts, padding=padding, epsilon=epsilon, licence=model.facts.licence)
    left_out = {"temperature": temperature_of(predictor), "logit_adjustment": spec.method.logit_adjustment}
    header = facts.header() | facts_of(predictor) | {name: str(value) for name, value in left_out.items()}
    return as_safetensors(named_tensors(*weights_of(model)), header)


def run_safetensors(data: bytes, predictor: Predictor) -> Program:
    variables = filled(*weights_of(predictor.model), tensors_of(data, "the file"), "what was read again does not fit")
    variables |= {"constants": parts_of(predictor.model)[0]["constants"]}
    model = dataclasses.replace(
        predictor.model, variables=united([variables]) if predictor.model.members else variables
    )
    return lambda images: dataclasses.replace(predictor, model=model).ask(images).probabilities


def weights_of(model: Model) -> tuple[dict[str, Any], Names]:
    """The parameters and statistics of the only network of a model, and their names in a file."""
    if len(model.members) > 1:
        raise UserError(
            f"it is {len(model.members)} networks, each with weights of its own: export its runs one by one"
        )
    (built,) = model.networks
    weights = {kind: tree for kind, tree in parts_of(model)[0].items() if kind != "constants"}
    return weights, names_of(built.spec, make_shown_method(built, model.classes).trunks(), weights)


def architecture(model: Model) -> str:
    """What a model is, in an error."""
    return f"{model.spec.method.name} on {model.spec.model.backbone}"


def temperature_of(predictor: Predictor) -> float:
    return predictor.decisions.temperature if predictor.decisions else 1.0


def facts_of(predictor: Predictor) -> dict[str, str]:
    """What is said in the file, where a format has a place for it: classes, and what photographs are brought to."""
    stored = {name: str(value) for name, value in to_plain(predictor.model.spec.stored_size).items()}
    return {"made_by": f"{MARK} {__version__}", "classes": json.dumps(predictor.classes), **stored}


def about_program(predictor: Predictor) -> str:
    """What the programs take and give."""
    stored, n = predictor.model.spec.stored_size, len(predictor.classes)
    return (
        f"takes photographs uint8 [b, {stored.height}, {stored.width}, 3]: upright RGB, by {stored.fit} and "
        f"{stored.filter}\nanswers [b, {n}]: {', '.join(predictor.classes)}"
    )


def about_stablehlo(predictor: Predictor) -> str:
    return f"{about_program(predictor)}\njax promises to read it with releases until {read_until(jaxlib.__version__)}"


def about_safetensors(predictor: Predictor) -> str:
    _, named = weights_of(predictor.model)
    others = sum(not of_timm for _, of_timm in named.values())
    by = f"but {others} that timm does not have" if others else "as timm loads them"
    return f"{len(named)} tensors under timm's names, {by}; before any temperature or logit adjustment"


def read_until(version: str) -> datetime.date:
    """Until when released jax reads what this jaxlib exports; a newer one than is known here counts as the last known.

    >>> read_until("0.10.2")
    datetime.date(2026, 12, 17)
    """
    numbers = tuple(map(int, re.findall(r"\d+", version)[:3]))
    released = max((of for of in RELEASED if of <= numbers), default=min(RELEASED))
    built = RELEASED[released]
    year, month = divmod(built.month - 1 + MONTHS_READ, 12)
    last = calendar.monthrange(built.year + year, month + 1)[1]
    return built.replace(year=built.year + year, month=month + 1, day=min(built.day, last))


@contextlib.contextmanager
def told_as_refusal(failure: str) -> Iterator[None]:
    """What converters raise, which may be anything, as a `UserError`."""
    try:
        yield
    except Exception as error:
        raise UserError(f"{failure}: {first_line(error)[:300]}") from error


FORMATS: Mapping[str, Format] = {
    "stablehlo": Format(make_stablehlo, run_stablehlo, about_stablehlo, ("flatbuffers",), "install skinjax[export]"),
    "onnx": Format(
        make_onnx,
        run_onnx,
        about_program,
        ("jax2onnx", "onnxruntime"),
        "install skinjax[onnx] in an environment of its own, as it pins an older orbax",
    ),
    "safetensors": Format(make_safetensors, run_safetensors, about_safetensors),
}
