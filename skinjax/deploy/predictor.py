"""A run or a bundle, opened to be asked: probabilities, and what a bundle decides by them."""

import dataclasses
import functools
import os
import stat
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.errors import Print, UserError, lookup, os_errors_as_user_errors
from skinjax.data.dataset import data_root
from skinjax.deploy import decisions, unlike
from skinjax.deploy.bundle import Bundle, open_bundle
from skinjax.deploy.decisions import PRIORS, Decisions
from skinjax.deploy.origins import notices, origins_of
from skinjax.deploy.quality import flags
from skinjax.methods.base import Variables
from skinjax.model import Model, load_run, read_upright
from skinjax.models.layers import compiler_options

Array = np.ndarray


@dataclasses.dataclass(frozen=True)
class Answers:
    """What is said of n photographs; None where the model does not know.

    probabilities: [n, classes], calibrated; entropy: [n], 0 sure to 1 undecided; sets: bool [n, classes], the conformal
    set; distance: [n], how unlike the training photographs, and is_unlike: more so than 19 in 20 of validation;
    positive: [n], the probability of yes to the bundle's question, and yes: whether that is enough
    """

    probabilities: Array
    entropy: Array
    sets: Array | None = None
    distance: Array | None = None
    is_unlike: Array | None = None
    positive: Array | None = None
    yes: Array | None = None

    @property
    def predicted(self) -> Array:
        """The likeliest class of each."""
        return self.probabilities.argmax(axis=1)


@dataclasses.dataclass(frozen=True, eq=False)
class Predictor:
    """A model with what is decided by it; `prior` is one of PRIORS."""

    model: Model
    bundle: Bundle | None = None
    prior: str = ""

    def __post_init__(self) -> None:
        if self.prior:
            lookup("prior", self.prior, {name: says for name, says in PRIORS.items() if name})
        if self.prior and not (self.decisions and self.decisions.prior and self.decisions.usual):
            raise UserError(f"--prior={self.prior} needs a bundle that knows what its network was trained for")

    @property
    def classes(self) -> tuple[str, ...]:
        return self.model.classes

    @property
    def decisions(self) -> Decisions | None:
        return self.bundle.manifest.decisions if self.bundle else None

    @functools.cached_property
    def notices(self) -> list[str]:
        """What everybody who sees an answer is told."""
        if self.bundle:
            return self.bundle.manifest.notices
        protocol = self.model.origin.get("protocol", {})
        return notices(protocol, origins_of([protocol], data_root()))

    @functools.cached_property
    def program(self) -> Any:
        """Jitted: what the network says of uint8 images by name, given its variables; see `outputs`."""
        asked = ("probabilities", "pooled") if self.knows_unlike else ("probabilities",)

        def answers(variables: Variables, images: jax.Array) -> dict[str, jax.Array]:
            outputs = self.model.method.predict(variables, images)
            return {name: outputs[name].astype(jnp.float32) for name in asked}

        return jax.jit(answers, compiler_options=compiler_options())

    @property
    def knows_unlike(self) -> bool:
        return self.bundle is not None and self.bundle.reference is not None

    def look(self, photograph: bytes, name: str) -> tuple[Array, tuple[str, ...]]:
        """A photograph as the network takes it, and its flags of `quality`."""
        upright = read_upright(photograph, name)
        pixels = self.model.fitted(upright)
        return pixels, flags(pixels, *upright.shape[:2])

    def outputs(self, images: Array) -> dict[str, Array]:
        """The network's own `probabilities`, and `pooled` features where distances are known: see `Model.predict`."""
        return self.model.in_batches(self.program, images)

    def ask(self, images: Array) -> Answers:
        """The answers for photographs uint8 [n, H, W, 3], as `model.read` gives them."""
        outputs = self.outputs(images)
        return self.decide(outputs["probabilities"], self.distances(outputs))

    def distances(self, outputs: dict[str, Array]) -> Array | None:
        """How unlike the training photographs each is [n], where that is known."""
        kept = self.bundle.reference if self.bundle else None
        return None if kept is None else unlike.distances(outputs["pooled"], kept)

    def decide(self, probabilities: Array, distance: Array | None = None) -> Answers:
        """The answers by the network's own probabilities [n, classes], and distances [n]."""
        settings = self.decisions or Decisions()
        natural = probabilities
        if settings.temperature != 1:
            natural = decisions.calibrated(settings, probabilities, self.classes)
        shown = decisions.calibrated(settings, probabilities, self.classes, self.prior) if self.prior else natural
        found = Answers(shown, decisions.entropy(shown))
        if settings.farthest:
            found = dataclasses.replace(found, sets=decisions.sets(settings, natural))
        if settings.question:
            positive = decisions.score(settings.question, natural, self.classes)
            found = dataclasses.replace(found, positive=positive, yes=positive >= settings.question.threshold)
        limit = self.bundle.manifest.unlike if self.bundle else None
        if distance is not None and limit is not None:
            found = dataclasses.replace(found, distance=distance, is_unlike=distance > limit)
        return found


def open_predictor(path: str | os.PathLike, prior: str = "", say: Print | None = None) -> Predictor:
    """The finished run in a folder, or the bundle of a file; its notices are said, by default on standard error."""
    path = Path(path).expanduser()
    with os_errors_as_user_errors(f"{path} cannot be opened", "name a bundle, or the folder of a finished run"):
        bundle = None if stat.S_ISDIR(path.stat().st_mode) else open_bundle(path)
    predictor = Predictor(bundle.model if bundle else load_run(path), bundle, prior)
    for line in predictor.notices:
        (say or _on_standard_error)(line)
    return predictor


def load(path: str | os.PathLike) -> Model:
    """The trained network of a finished run's folder or of a bundle: no data set, and nothing that trains.

    >>> model = load("model.skinjax")  # doctest: +SKIP
    >>> model.predict(model.read("photograph.jpg")[None])["probabilities"].shape  # doctest: +SKIP
    (1, 7)
    """
    return open_predictor(path).model


def _on_standard_error(line: str) -> None:
    print(line, file=sys.stderr)
