"""A trained network, opened alone: without its data set, its trainer, or the weights that its training started from.

A finished run leaves `model.safetensors` (parameters, statistics and constants, by names like
`params/backbone/stem/conv/kernel`) and `model.json`: how the network is built and shown photographs, its classes, and
what it was trained on.
"""

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from skinjax import __version__
from skinjax.core.errors import UserError
from skinjax.core.files import write_atomically
from skinjax.core.hashes import digest_of
from skinjax.core.settings import from_plain, to_plain
from skinjax.core.tables import read_file
from skinjax.data.acquire.decoding import MOST_BYTES, decode, fitted
from skinjax.data.pipeline import StoredSize
from skinjax.images.colour import NORMALISATIONS, Normalisation
from skinjax.images.views import WEIGHTS, make_views, repeated_view
from skinjax.methods import METHODS
from skinjax.methods.base import Method, Variables
from skinjax.methods.ensemble import Ensemble
from skinjax.methods.parts import Classification, Network, Parts, Pictures
from skinjax.methods.repeated import Repeated
from skinjax.models import make_backbone
from skinjax.models.heads.classifiers import make_head
from skinjax.models.layers import compiler_options
from skinjax.models.pretrained.facts import NO_FACTS, Facts, facts_from_json
from skinjax.models.pretrained.files import MODEL_FILE, WEIGHTS_FILE, as_safetensors, check_sha256, open_weights
from skinjax.models.pretrained.fitting import CLASSES as ORIGINAL_CLASSES
from skinjax.models.pretrained.fitting import family, plan
from skinjax.models.pretrained.mapping import fill, matched
from skinjax.models.pretrained.opening import Pretrained, check_backbone
from skinjax.recipe.recipe import ModelSpec

SCHEMA = 1
MOST_MEMBERS = 1000
Program = Callable[..., Any]  # of variables and images


class Built(NamedTuple):
    """How a network is built, and what its starting weights state."""

    spec: ModelSpec
    facts: Facts = NO_FACTS


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A network with its variables, and all that it takes to show it photographs; see `skinjax.load`.

    spec: how it is built; classes: what it tells apart; variables: params, batch_stats and constants; facts: those of
    the weights that its training started from; origin: what it was trained on and how, JSON-ready; members: how each
    of the networks is built that answer together, none for one alone; they see the same photographs.
    """

    spec: ModelSpec
    classes: tuple[str, ...]
    variables: Variables = dataclasses.field(repr=False)
    facts: Facts = NO_FACTS
    origin: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    members: tuple[Built, ...] = ()

    @property
    def networks(self) -> tuple[Built, ...]:
        """How each network is built: the members, or the one alone."""
        return self.members or (Built(self.spec, self.facts),)

    @functools.cached_property
    def method(self) -> Method:
        """The method, whose functions take the variables."""
        methods = [make_shown_method(of, self.classes) for of in self.networks]
        return Ensemble(tuple(methods)) if self.members else methods[0]

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the network's parts, in order."""
        return tuple(self.method.stages())

    def read(self, photograph: bytes | str | os.PathLike, name: str = "") -> np.ndarray:
        """A photograph (its bytes or its path) as training saw it: uint8 [H, W, 3], upright, at the stored size."""
        return self.fitted(read_upright(photograph, name))

    def fitted(self, pixels: np.ndarray) -> np.ndarray:
        """An upright photograph of any size at the stored size."""
        stored = self.spec.stored_size
        return fitted(pixels, (stored.height, stored.width), stored.fit, stored.filter)

    def predict(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """`probabilities` [n, classes] of photographs uint8 [n, H, W, 3] as `read` gives them, and what else it says.

        They are computed in the batches of training, the last one padded: n changes no bit, the place in a batch may.
        """
        return self.in_batches(self._predict, images)

    def features(self, images: np.ndarray) -> np.ndarray:
        """The input of the head's last layer for photographs, averaged over their patches: float32 [n, d]."""
        return self.in_batches(self._features, images)

    @functools.cached_property
    def _predict(self) -> Program:
        return jax.jit(self.method.predict, compiler_options=compiler_options())

    @functools.cached_property
    def _features(self) -> Program:
        def features(variables: Variables, images: jax.Array) -> jax.Array:
            outputs = self.method.predict(variables, images)
            if "pooled" not in outputs:
                raise UserError(f"the method {self.spec.method.name} gives no features: it pools nothing")
            return outputs["pooled"].astype(jnp.float32)

        return jax.jit(features, compiler_options=compiler_options())

    def in_batches(self, program: Program, images: np.ndarray, *columns: np.ndarray) -> Any:
        """What a program of variables, images and `columns` [n] gives of photographs, in the batches of training."""
        stored, batch = self.spec.stored_size, self.spec.batch
        shape = (stored.height, stored.width, 3)
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.shape[1:] != shape:
            found, wanted = (", ".join(map(str, sides)) for sides in (images.shape, ("n", *shape)))
            raise UserError(
                f"images are {images.dtype} [{found}]; this model takes uint8 [{wanted}], as from its `read`"
            )
        parts = []
        for start in range(0, max(1, len(images)), batch):
            taken = [column[start : start + batch] for column in (images, *columns)]
            rows = [np.pad(part, [(0, batch - len(part)), *[(0, 0)] * (part.ndim - 1)]) for part in taken]
            try:
                parts.append(jax.device_get(program(self.variables, *rows)))
            except (jax.errors.JaxRuntimeError, MemoryError) as error:
                if "RESOURCE_EXHAUSTED" not in str(error) and not isinstance(error, MemoryError):
                    raise
                raise UserError(
                    f"a batch of {batch} photographs does not fit in memory: use a machine that has more"
                ) from error
        return jax.tree.map(lambda *rows: np.concatenate(rows)[: len(images)], *parts)


def read_upright(photograph: bytes | str | os.PathLike, name: str = "") -> np.ndarray:
    """A photograph (its bytes or its path) as it is: uint8 [H, W, 3], upright."""
    if not isinstance(photograph, bytes):
        name = name or str(photograph)
        photograph = read_file(Path(photograph).expanduser(), MOST_BYTES)
    return decode(photograph, None, fit="squash", filter="bilinear", name=name or "given as bytes")


def load_run(run: str | os.PathLike) -> Model:
    """The trained network of the finished run in a folder."""
    folder = Path(run).expanduser()
    record = read_record(folder)
    path = folder / MODEL_FILE
    facts = facts_from_json(record["facts"], path)
    spec = from_plain(ModelSpec, record["spec"], f"spec of {path}")
    members = (Built(spec, facts),) * record.get("members", 0)
    model = Model(spec, tuple(record["classes"]), {}, facts, record, members)
    weights = folder / WEIGHTS_FILE
    check_sha256(weights, {MODEL_FILE: record["sha256"]}, "bring both back from a copy")
    variables = variable_shapes(model.method, model.spec.stored_size, len(model.classes))
    shapes = flax.traverse_util.flatten_dict(variables, keep_empty_nodes=True)
    wanted = {place: ("/".join(place), leaf.shape) for place, leaf in shapes.items() if hasattr(leaf, "shape")}
    arrays = matched(wanted, open_weights(weights), set(), f"{weights} does not fit {MODEL_FILE}")
    variables = flax.traverse_util.unflatten_dict({**shapes, **arrays})
    return dataclasses.replace(model, variables=jax.device_put(variables))


def from_weights(weights: Pretrained, backbone: str, classes: Sequence[str] = ()) -> Model:
    """The network of published weights with its original head, shown whole pictures as the weights are used to them.

    classes: their names, by default "0", "1" and so on

    >>> from_weights(open_pretrained("mobilenetv2.safetensors", data_root()), "mobilenetv2_100_same")  # doctest: +SKIP
    """
    check_backbone(backbone, weights)
    facts, variables = weights.facts, fill(plan(backbone).variables, weights.file, family(backbone), weights.source)
    height, width = facts.size or (224, 224)
    plain = {
        "stored_size": {"height": height, "width": width, "filter": facts.filter or "bilinear"},
        "views": {"size": (height, width), "normalisation": WEIGHTS},
        "model": {"backbone": backbone, "weights": weights.source},
    }
    spec, names = from_plain(ModelSpec, plain, "spec"), tuple(classes) or tuple(map(str, range(ORIGINAL_CLASSES)))
    constants = make_method(spec, names, facts).constants(np.ones(len(names)), np.full(len(names), 1 / len(names)))
    return Model(spec, names, jax.device_put(variables | {"constants": constants}), facts)


def write_model(folder: Path, model: Model) -> None:
    """`model.safetensors` and then `model.json` of a trained network, each whole or not at all."""
    flat = flax.traverse_util.flatten_dict(model.variables, sep="/")
    mean, std = normalisation(model.spec, model.facts)
    stored, views = model.spec.stored_size, model.spec.views
    facts = Facts(model.spec.model.backbone, len(model.classes), mean, std, views.size, stored.filter)
    header = facts.header() | {"classes": json.dumps(model.classes)}
    weights = as_safetensors({name: np.asarray(array) for name, array in flat.items()}, header)
    record = {
        "schema": SCHEMA,
        "skinjax": __version__,
        "spec": to_plain(model.spec),
        "classes": model.classes,
        "facts": model.facts.known(),
        "sha256": digest_of(weights),
        **({"members": len(model.members)} if model.members else {}),
        **model.origin,
    }
    write_atomically(folder / WEIGHTS_FILE, weights)
    write_atomically(folder / MODEL_FILE, json.dumps(record, indent=1))


def read_record(folder: Path) -> dict[str, Any]:
    """Read `model.json` of the run in a folder, and check the fields that every one has."""
    path = folder / MODEL_FILE
    if not path.is_file():
        what = "its run has not finished" if folder.is_dir() else "it holds no run"
        raise UserError(f"{folder} has no {MODEL_FILE}, so {what}: start the run's command again, or name another")
    try:
        record = json.loads(read_file(path))
        schema, classes = record["schema"], record["classes"]
        if schema == SCHEMA:
            whole = isinstance(record["sha256"], str) and isinstance(record["facts"], dict) and "spec" in record
            named = isinstance(classes, list) and all(isinstance(name, str) and name for name in classes)
            members = record.get("members", 0)
            counted = isinstance(members, int) and 0 <= members <= MOST_MEMBERS
            if not (whole and named and counted and record["sha256"] and len(set(classes)) == len(classes) >= 2):
                raise ValueError("it names no classes, or lacks something")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}): bring it back from a copy") from error
    if schema != SCHEMA:
        raise UserError(
            f"{path} is of schema {str(schema)[:80]!r}, this version reads {SCHEMA}: open it with the one that made it"
        )
    return record


def make_method(spec: ModelSpec, classes: Sequence[str], facts: Facts = NO_FACTS) -> Method:
    """The method of a recipe for these classes; `facts` are those of the weights that it starts from."""
    model, dtype = spec.model, spec.model.compute_dtype
    shown_in_training, shown_in_evaluation = make_views(spec.views, normalisation(spec, facts))
    backbone = make_backbone(model.backbone, dtype, model.drop_path, model.remat, model.final_relu)
    head = make_head(model.head, backbone, len(classes), model.dropout, spec.loss.scale)
    pictures = Pictures(shown_in_training, shown_in_evaluation, spec.method.mixing)
    task = Classification(tuple(classes), spec.loss.classification_loss(), spec.method.logit_adjustment)
    parts = Parts(Network(backbone, head), pictures, task, spec.views, dtype)
    return METHODS[spec.method.name].make(parts, spec.method)


def make_shown_method(built: Built, classes: Sequence[str]) -> Method:
    """The method of a trained network, which may look at each photograph several times."""
    method, views = make_method(built.spec, classes, built.facts), built.spec.views
    return method if views.repeats == "none" else Repeated(method, repeated_view(views, normalisation(*built)))


def normalisation(spec: ModelSpec, facts: Facts = NO_FACTS) -> Normalisation:
    """The mean and deviation of a recipe, which may be those that its weights state."""
    if spec.views.normalisation != WEIGHTS:
        return NORMALISATIONS[spec.views.normalisation]
    if facts.mean is None or facts.std is None:
        raise UserError(f"the weights state no normalisation: set views.normalisation to {' or '.join(NORMALISATIONS)}")
    return Normalisation(facts.mean, facts.std)


@functools.lru_cache(maxsize=32)  # tracing a large network takes seconds
def variable_shapes(method: Method, stored: StoredSize, n: int) -> Variables:
    """The variables of a method for `n` classes, with the shapes of their values."""
    batch = {"image": jax.ShapeDtypeStruct((1, stored.height, stored.width, 3), jnp.uint8)}
    variables = jax.eval_shape(method.init, jax.random.key(0), batch)
    return {**variables, "constants": method.constants(np.ones(n), np.full(n, 1 / n))}
