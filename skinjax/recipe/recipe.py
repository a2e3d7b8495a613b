"""Recipe: every setting of a run, as a tree of the settings that its components own."""

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from skinjax.core.errors import UserError, lookup
from skinjax.core.settings import BELOW_ONE, Named, Settings, choice, differences, number, one_of, section
from skinjax.data.caches import CACHES
from skinjax.data.dataset import DatasetSettings
from skinjax.data.pipeline import StoredSize
from skinjax.data.sampling import SAMPLERS
from skinjax.data.splits.protocols import SplitSettings
from skinjax.evaluation.metrics import SMALL
from skinjax.images.views import ViewSettings
from skinjax.methods import METHODS
from skinjax.methods.base import MethodSettings, Objective
from skinjax.models import ModelSettings
from skinjax.objectives.diagnosis import LossSettings
from skinjax.training.optimizers import OptimizerSettings
from skinjax.training.phases import Evaluations, PhaseSettings, Saves

EVALUATED = {
    "last": "the checkpoint at the end",
    "best": "that with the best validation metric of the last phase",
    "snapshots": "the mean of those at the ends of the last phase's cycles",
}
# What says where and how loudly a run works, and what it is called; two recipes that differ only here are one run.
NOT_IDENTITY = ("name", "variant", "cache", "logging", "checkpoints")
# Sections of the run of which a phase may override fields.
OVERRIDES = ("dataset", "loss", "evaluations")
# What is done with a trained network; runs that differ only here train alike.
JUDGING = ("evaluate", "evaluations.small")


@dataclasses.dataclass(frozen=True)
class EvaluationSettings(Evaluations):
    """When a run is judged, and on which smallest classes."""

    small: tuple[int, ...] = number(SMALL, 1, 2**31)  # figures of so many smallest classes (40 in paper 000's Table 3)


@dataclasses.dataclass(frozen=True)
class CheckpointSettings(Saves):
    """When a run is saved, and how many of its newest checkpoints are kept beside the best."""

    keep: int = number(2, 1, 2**31)


@dataclasses.dataclass(frozen=True)
class LoggingSettings(Settings):
    """Steps between two lines of the log, what is written beside it, and the threads that load images."""

    every: int = number(20, 1, 2**31)
    tensorboard: bool = True
    report: bool = True  # report.html at the end
    threads: int = number(4, 0, 1024)


@dataclasses.dataclass(frozen=True)
class ModelSpec(Settings):
    """How a network is built and what it is shown of a photograph: the part of a recipe that a trained one needs."""

    stored_size: StoredSize = section(StoredSize)
    views: ViewSettings = section(ViewSettings)
    model: ModelSettings = section(ModelSettings)
    loss: LossSettings = section(LossSettings)
    method: MethodSettings = one_of("classifier", "method", METHODS)
    batch: int = number(32, 1, 2**20)

    def check(self) -> None:
        if self.views.normalisation == "weights" and not self.model.weights:
            raise UserError("config.views.normalisation is 'weights': set model.weights too, or name a normalisation")


@dataclasses.dataclass(frozen=True)
class Recipe(ModelSpec):
    """All settings of a run; `name` and `variant` are those of its config file."""

    name: str = "own"
    variant: str = "demo"
    seed: int = number(0, 0, 2**32 - 1)
    dataset: DatasetSettings = section(DatasetSettings)
    split: SplitSettings = section(SplitSettings)
    cache: str = choice("none", "cache", CACHES)  # where decoded pixels are kept
    sampler: Named = one_of("natural", "sampler", SAMPLERS)
    optimizer: OptimizerSettings = section(OptimizerSettings)
    accumulate: int = number(1, 1, 2**20)
    ema_decay: float = number(0.0, 0, BELOW_ONE)
    phases: Mapping[str, PhaseSettings] = dataclasses.field(default_factory=lambda: {"train": PhaseSettings()})
    phase_order: tuple[str, ...] = ("train",)
    evaluate: str = choice("last", "value of evaluate", EVALUATED)  # the checkpoint that the final figures are of
    evaluations: EvaluationSettings = section(EvaluationSettings)
    checkpoints: CheckpointSettings = section(CheckpointSettings)
    logging: LoggingSettings = section(LoggingSettings)

    def check(self) -> None:
        super().check()
        for name in self.phase_order:
            lookup("phase in phase_order:", name, self.phases)
        if len(set(self.phase_order)) < max(1, len(self.phase_order)):
            raise UserError(f"phase_order is {self.phase_order}; it must name at least one phase, and none twice")
        for name in self.phases.keys() - set(self.phase_order):
            if difflib.get_close_matches(name, self.phase_order):  # others wait for another order
                lookup("phase in phase_order:", name, dict.fromkeys(self.phase_order))
        first = self.phase_order[0]
        if self.phases[first].begin == "best":
            raise UserError(f"config.phases.{first}.begin is 'best' and no phase comes before it: leave it at 'last'")
        for name, phase in self.in_order().items():
            if self.sampler_in(phase).name == "tuples" and not hasattr(self.method, "members"):
                raise UserError(
                    "the sampler 'tuples' is for a method of several networks, whose rows it fills: set method.name to "
                    "synergic, or choose another sampler"
                )
            if phase.features == "stored" and phase.augment:
                self.refuse_changing_pictures(name)
            self.refuse_unlabelled(name)
            loss = self.loss_in(phase)
            if self.evaluate == "snapshots" and self.evaluations_in(phase).target is not None:
                raise UserError(
                    "evaluations.target may end a run within a cycle and evaluate is 'snapshots': leave one of them out"
                )
            if loss.name == "ldam" and self.model.head != "cosine":
                raise UserError("loss.name 'ldam' takes margins off cosines: set model.head to cosine, or another loss")
            if loss.scale != self.loss.scale:
                raise UserError(
                    f"a phase's loss.scale is {loss.scale}, the head's {self.loss.scale}: set loss.scale alone"
                )

    def refuse_changing_pictures(self, phase: str) -> None:
        """Refuse stored features of a phase whose pictures differ from time to time, or from those of evaluation."""
        mixed = self.method.mixing
        if not mixed and self.views.same_in_training:
            return
        view = f"views.train {self.views.train!r} does not show pictures as views.evaluation {self.views.evaluation!r}"
        raise UserError(
            f"phase {phase!r} trains on stored features, and {'mixup blends pictures anew' if mixed else view}: set "
            f"phases.{phase}.augment to False, for pictures as in evaluation, or phases.{phase}.features to computed"
        )

    def refuse_unlabelled(self, phase: str) -> None:
        """Refuse a phase on images without labels whose other settings go by labels, or by the run's own images."""
        settings, other = self.phases[phase], self.dataset_in(self.phases[phase])
        if other is None and not settings.unlabelled:
            return
        field = "dataset" if other else "unlabelled"
        for name, wrong in {"classes": settings.classes, "features": settings.features == "stored"}.items():
            if wrong:
                raise UserError(
                    f"phases.{phase}.{field} is for images without labels, which have no {name}: leave phases.{phase}."
                    f"{name} out"
                )
        if other and settings.unlabelled:
            raise UserError(
                f"phase {phase!r} reads another data set, whose images count as unlabelled anyway: leave "
                f"phases.{phase}.unlabelled out"
            )

    def spec(self) -> ModelSpec:
        """The part that the trained network needs."""
        return ModelSpec(**{field.name: getattr(self, field.name) for field in dataclasses.fields(ModelSpec)})

    def remarks(self) -> Iterator[str]:
        """Name the settings that nothing uses, a line each."""
        for name, phase in self.phases.items():
            if name not in self.phase_order and phase != PhaseSettings():
                yield f"phase {name} is not in phase_order: it is not trained"
        if self.sampler.name != "natural" and all(phase.sampler for phase in self.in_order().values()):
            yield f"every phase has a sampler of its own: the run's, {self.sampler.name}, is not used"

    def in_order(self) -> dict[str, PhaseSettings]:
        """The phases that are trained, in their order."""
        return {name: self.phases[name] for name in self.phase_order}

    def loss_in(self, phase: PhaseSettings) -> LossSettings:
        """The loss of the run, with the fields that a phase overrides."""
        return self.loss.replace(**phase.loss)

    def evaluations_in(self, phase: PhaseSettings) -> EvaluationSettings:
        """When and by what a phase is judged."""
        return self.evaluations.replace(**phase.evaluations)

    def saves_in(self, phase: PhaseSettings) -> CheckpointSettings:
        """When a phase is saved."""
        return self.checkpoints.replace(**phase.checkpoints)

    def objective_of(self, phase: PhaseSettings) -> Objective:
        """What the method needs to know of a phase, with names as the config writes them."""
        loss_function = self.loss_in(phase).classification_loss() if phase.loss else None
        stored = phase.features == "stored"
        return Objective(phase.frozen, loss_function, tuple(phase.terms.items()), phase.augment, stored)

    def sampler_in(self, phase: PhaseSettings) -> Named:
        """A phase's sampler: its own, or the run's."""
        return phase.sampler or self.sampler

    def dataset_in(self, phase: PhaseSettings) -> DatasetSettings | None:
        """The data set that a phase reads without labels, if it is not the run's."""
        changes = dict(phase.dataset)
        if changes.get("name", self.dataset.name) != self.dataset.name:  # arguments are those of the run's own
            changes.setdefault("arguments", {})
        other = self.dataset.replace(**changes)
        return None if other == self.dataset else other

    def identity(self) -> dict[str, dict[str, Any]]:
        """What tells runs apart: the fields that differ from the defaults, those that train and those that judge."""
        changed = differences(self, Recipe())
        changed.pop("phases", None)
        for name, phase in self.in_order().items():
            overrides = {part: _others(getattr(phase, part), getattr(self, part)) for part in OVERRIDES}
            found = differences(phase.replace(**overrides, checkpoints={}), PhaseSettings())
            changed |= {f"phases.{name}.{path}": value for path, value in found.items()}
        parts: dict[str, dict[str, Any]] = {"training": {}, "judging": {}}
        for path, value in sorted(changed.items()):
            if path.partition(".")[0] not in NOT_IDENTITY:
                parts["judging" if path in JUDGING else "training"][path] = value
        return parts


def _others(overrides: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The overrides that change a section's settings."""
    return {name: value for name, value in overrides.items() if value != getattr(settings, name)}
