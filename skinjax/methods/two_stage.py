"""Paper 001: a network tells the dominant class from the rest, and a second one tells the rest apart.

The first has the dominant classes and `rest` to choose from, the second the others. They are two networks, or two heads
on one trunk; a phase trains either by giving the term of the other the coefficient 0, and freezing it.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.errors import UserError, lookup
from skinjax.core.settings import choice
from skinjax.methods.base import Array, Batch, MethodSettings, Objective, Taps, Terms, Variables
from skinjax.methods.parts import Classification, Draws, Network, Parts, by_collection, labels_of

STAGES = ("dominant", "rest")
REST = "rest"  # the class of the first stage that stands for all classes of the second
COMPOSITIONS = {
    "hard": "the first stage decides, and where it decides for the rest, the second alone",
    "soft": "the chance of the rest is divided by what the second stage says",
}


@dataclasses.dataclass(frozen=True)
class TwoStageSettings(MethodSettings):
    """Paper 001's method."""

    name: str = "two_stage"
    dominant: tuple[str, ...] = ("nv",)
    shared_trunk: bool = False  # one trunk with two heads, instead of two networks
    composition: str = choice("hard", "value of method.composition", COMPOSITIONS)  # of `probabilities`


@dataclasses.dataclass(frozen=True)
class TwoStage:
    """Two networks or two heads, by the names of `STAGES`, and the task of each."""

    parts: Parts
    networks: tuple[Network, Network]
    tasks: tuple[Classification, Classification]
    settings: TwoStageSettings

    @property
    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """The dominant classes and the others, by number."""
        inside = np.isin(self.parts.task.classes, self.settings.dominant)
        return np.flatnonzero(inside), np.flatnonzero(~inside)

    def init(self, rng: Array, batch: Batch) -> Variables:
        images, modules = self.parts.pictures.evaluation_view(batch["image"]), dict[str, Variables]()
        for network in self.networks:
            if network.trunk in modules:
                features = network.maps(by_collection(modules), images)["features"]
                modules |= network.init_head(rng, features)
            else:
                modules |= network.init(rng, images)
        return by_collection(modules)

    def constants(self, counts: np.ndarray, shares: np.ndarray) -> dict[str, np.ndarray]:
        """The training images of each stage's classes."""
        self.parts.task.constants(counts)  # or a factor of no class is refused
        dominant, rest = self.numbers
        of_stage = (np.append(counts[dominant], counts[rest].sum()), counts[rest])
        found = zip(STAGES, self.tasks, of_stage, strict=True)
        return {f"{stage}_counts": task.constants(own)["class_counts"] for stage, task, own in found}

    def terms(self) -> dict[str, float]:
        return dict.fromkeys(STAGES, 1.0)

    def loss(
        self, variables: Variables, batch: Batch, rng: Array, *, step: Array, phase: Objective
    ) -> tuple[Terms, dict]:
        images, targets, weights = self.parts.pictures.for_training(batch, rng, len(self.parts.task.classes), phase)
        draws, terms, after = Draws.for_batch(rng, batch), Terms(), variables
        features = None
        for stage, network, task, own in self.stages_with(self.targets(targets)):
            coefficient = phase.coefficient(stage, 1.0)
            if not coefficient:
                continue
            if features is None or not self.settings.shared_trunk:
                maps, after = network.train_maps(after, images, draws, phase)
                features = maps["features"]
            logits, _, after = network.train_answer(after, features, draws, phase)
            terms[stage] = (coefficient, *task.term(self.own(variables, stage), logits, own, weights, phase))
        return terms, after["batch_stats"]

    def named_tasks(self) -> list[tuple[str, Classification]]:
        """The name and the task of each stage."""
        return list(zip(STAGES, self.tasks, strict=True))

    def stages_with(self, targets: Sequence[Array]) -> list[tuple[str, Network, Classification, Array]]:
        """The name, network, task and targets of each stage."""
        return list(zip(STAGES, self.networks, self.tasks, targets, strict=True))

    def targets(self, targets: Array) -> tuple[Array, Array]:
        """Those of each stage, for targets [batch, classes]; in the second an image of a dominant class has none."""
        dominant, rest = self.numbers
        others = targets[:, rest]
        return jnp.concatenate([targets[:, dominant], others.sum(axis=1, keepdims=True)], axis=1), others

    def own(self, variables: Variables, stage: str) -> Variables:
        """The variables with a stage's counts as those of its classes."""
        return {**variables, "constants": {"class_counts": variables["constants"][f"{stage}_counts"]}}

    def answers(self, variables: Variables, images: Array, at: Taps | None = None) -> list[dict[str, Array]]:
        """The outputs of each stage for stored uint8 images."""
        shown, found = self.parts.pictures.evaluation_view(images), list[dict[str, Array]]()
        features = None
        for stage, network, task in zip(STAGES, self.networks, self.tasks, strict=True):
            if features is None or not self.settings.shared_trunk:
                features = network.maps(variables, shown, at)["features"]
            logits, pooled = network.answer(variables, features)
            found.append(task.outputs(self.own(variables, stage), logits, pooled) | {"unadjusted": logits})
        return found

    def predict(self, variables: Variables, images: Array, at: Taps | None = None) -> dict[str, Array]:
        """Of all classes: `probabilities` by the chosen composition, `hard` and `soft`, and each stage's by its name.

        The largest of `hard` is the decision of the stages; that of `soft` may be another. `logits` are the logarithm
        of `probabilities`; `pooled` of both lie side by side.
        """
        first, second = self.answers(variables, images, at)
        composed = {name: self.composed(first["probabilities"], second["probabilities"], name) for name in COMPOSITIONS}
        outputs = composed | {"probabilities": composed[self.settings.composition]}
        outputs |= {stage: of["probabilities"] for stage, of in zip(STAGES, (first, second), strict=True)}
        # Finite where the other stage has decided; softmax gives the probabilities back.
        outputs["logits"] = jnp.log(jnp.maximum(outputs["probabilities"], jnp.finfo(jnp.float32).tiny))
        if "pooled" in first and "pooled" in second:
            outputs["pooled"] = jnp.concatenate([first["pooled"], second["pooled"]], axis=-1)
        return outputs

    def composed(self, first: Array, second: Array, composition: str) -> Array:
        """Probabilities [batch, classes] of both stages'."""
        dominant, rest = self.numbers
        share = first[:, -1:]
        if composition == "hard":
            to_rest = first.argmax(axis=1, keepdims=True) == first.shape[1] - 1
            first, share = jnp.where(to_rest, 0, first), jnp.where(to_rest, 1, share)
        together = jnp.zeros((first.shape[0], len(self.parts.task.classes)), first.dtype)
        return together.at[:, dominant].set(first[:, :-1]).at[:, rest].set(share * second)

    def evaluate(self, variables: Variables, batch: Batch, phase: Objective) -> dict:
        """Each stage's loss and macro recall on the images of its classes."""
        targets, weights = labels_of(batch, len(self.parts.task.classes))
        answers = self.answers(variables, batch["image"])
        terms: dict[str, tuple[Array, Array | None]] = {}
        for (stage, _, task, own), answer in zip(self.stages_with(self.targets(targets)), answers, strict=True):
            terms[f"{stage}_loss"] = task.term(self.own(variables, stage), answer["unadjusted"], own, weights, phase)
            counted = own * batch["mask"][:, None]
            right = jax.nn.one_hot(answer["probabilities"].argmax(axis=1), own.shape[1])
            terms[f"{stage}_macro_recall"] = (jnp.sum(counted * right, axis=0), counted.sum(axis=0))
        return terms

    def stages(self) -> dict[str, str]:
        return {stage: group for network in self.networks for stage, group in network.stages().items()}

    def trunks(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for network in self.networks:
            for trunk, heads in network.trunks().items():
                found[trunk] = (*found.get(trunk, ()), *heads)
        return found


def with_classes(task: Classification, classes: tuple[str, ...]) -> Classification:
    """The task of telling these classes apart; factors of other classes are left out."""
    factors = tuple((name, factor) for name, factor in task.loss_function.class_factors if name in classes)
    return dataclasses.replace(task, classes=classes, loss_function=task.loss_function.replace(class_factors=factors))


def build(parts: Parts, settings: TwoStageSettings) -> TwoStage:
    """The method of these parts, with a head for the classes of each stage."""
    parts.refuse_patches()
    classes = parts.task.classes
    for name in settings.dominant:
        lookup("class in method.dominant:", name, dict.fromkeys(classes))
    rest = tuple(name for name in classes if name not in settings.dominant)
    if not settings.dominant or len(rest) < 2:
        raise UserError(
            f"method.dominant is {settings.dominant} of {', '.join(classes)}: name one class or more, and leave two"
        )
    if REST in settings.dominant:
        raise UserError(f"the class {REST!r} cannot be dominant, as the first stage calls all others so: rename it")
    dominant = tuple(name for name in classes if name in settings.dominant)
    tasks = [with_classes(parts.task, own) for own in ((*dominant, REST), rest)]
    networks = [
        Network(
            parts.network.backbone,
            parts.network.head.clone(classes=len(task.classes)),
            trunk="backbone" if settings.shared_trunk else f"{stage}_backbone",
            top=f"{stage}_head",
        )
        for stage, task in zip(STAGES, tasks, strict=True)
    ]
    return TwoStage(parts, (networks[0], networks[1]), (tasks[0], tasks[1]), settings)
