"""A data set, a network and a trainer, all real and as small as they get, shared by the tests of this folder."""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import flax.linen as nn
import jax
import numpy as np
import pytest

from skinjax.data.dataset import Dataset, open_dataset
from skinjax.data.pipeline import StoredSize, held_out_batches, load, training_batches
from skinjax.data.sampling.samplers import EvaluationBatches, Images, natural
from skinjax.images.colour import NORMALISATIONS
from skinjax.images.views import VIEWS, ViewSettings, evaluation_view, train_view
from skinjax.methods.base import Objective
from skinjax.methods.classifier import Classifier
from skinjax.methods.parts import Classification, Network, Parts, Pictures
from skinjax.models.heads.classifiers import LinearHead
from skinjax.models.layers import Conv, relu
from skinjax.models.normalisation import BatchNorm
from skinjax.objectives.losses import ClassificationLoss
from skinjax.parallel import make_mesh
from skinjax.runs.building import initialisation
from skinjax.training.checkpoints import Checkpoints
from skinjax.training.inference import collect, tables
from skinjax.training.logs import MetricsLog
from skinjax.training.loop import LoopSettings, Trainer
from skinjax.training.optimizers import OptimizerSettings
from skinjax.training.phases import Evaluations, Phase
from skinjax.training.programs import evaluation_program

SIZE, INPUT, BATCH = StoredSize(32, 40), (32, 32), 8
TRAINING, VALIDATION = np.arange(48), np.arange(48, 60)


class Stage(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    width: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        x = Conv(self.width, 3, 4, name="conv")(x)
        return relu(BatchNorm(name="norm")(x, use_running_average=not train))


class TwoStages(nn.Module):
    """The smallest backbone with stages to freeze and running statistics to keep."""

    stages: ClassVar[tuple[str, ...]] = ("stem", "features")
    late: ClassVar[str] = "features"

    @nn.compact
    def __call__(self, x, *, train: bool, at=None, frozen: tuple[str, ...] = ()):
        maps = {}
        for name in self.stages:
            maps[name] = x = Stage(4, name=name)(x, train and name not in frozen)
        return maps


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """60 synthetic photographs of 40x32 pixels."""
    arguments = {"images": 60, "height": 32, "width": 40}
    return open_dataset("synthetic", arguments, tmp_path_factory.mktemp("data"), say=lambda text: None)


@pytest.fixture(scope="session")
def mesh() -> jax.sharding.Mesh:
    return make_mesh()


@pytest.fixture(scope="session")
def classifier(photographs: Dataset) -> Classifier:
    pictures = Pictures(
        train_view(VIEWS["plain"], INPUT, NORMALISATIONS["imagenet"]),
        evaluation_view("squash", INPUT, NORMALISATIONS["imagenet"]),
    )
    network = Network(TwoStages(), LinearHead(len(photographs.classes)))
    task = Classification(photographs.classes, ClassificationLoss())
    return Classifier(Parts(network, pictures, task, ViewSettings()))


@pytest.fixture(scope="session")
def evaluation_step(classifier: Classifier, mesh: jax.sharding.Mesh):
    return evaluation_program(classifier, Objective(), mesh)


@pytest.fixture(scope="session")
def phase(photographs: Dataset) -> Callable[..., Phase]:
    """A phase over the first 48 photographs, judged by its accuracy."""

    def make(
        name: str, steps: int, rate: Any = 0.1, frozen: tuple[str, ...] = (), coefficients=(), judged=None, **fields
    ) -> Phase:
        sampler = natural(Images(TRAINING, photographs.columns["label"][TRAINING], BATCH, seed=len(name)))
        objective = Objective(frozen, None, coefficients)
        evaluations = Evaluations(**{"metric": "accuracy", **(judged or {})})
        rates = rate if callable(rate) else lambda step: rate
        return Phase(name, steps, sampler, rates, objective=objective, evaluations=evaluations, **fields)

    return make


@dataclasses.dataclass
class Run:
    """A folder with a trainer, which can be started again and again."""

    folder: Path
    phases: list[Phase]
    settings: LoopSettings
    photographs: Dataset
    classifier: Classifier
    evaluation_step: Any
    mesh: jax.sharding.Mesh
    keep: int = 2
    stop: Callable[[], bool] = lambda: False
    batches: Callable = lambda batches, phase, start: batches
    validation: Callable[[Phase, Mapping[str, Any]], dict[str, float]] | None = None

    def _say(self, line: str) -> None:
        if not line.startswith("a step takes"):  # which is of this machine
            self.said.append(line)

    def __post_init__(self):
        self.said: list[str] = []
        self.folder.mkdir(exist_ok=True)
        self.trainer = Trainer(
            method=self.classifier,
            mesh=self.mesh,
            settings=self.settings,
            checkpoints=Checkpoints(self.folder / "checkpoints", self.keep, say=self.said.append),
            constants=self._constants,
            batches=self._batches,
            validate=self.validation or self._validate,
            open_log=lambda step: MetricsLog(self.folder, step, tensorboard=False),
            should_stop=self.stop,
            say=self._say,
        )

    def fit(self):
        """(state, history) on the host, where no later step can reach them."""
        try:
            state, history = self.trainer.fit(self.phases, self.init)
            return jax.tree.map(np.array, state), history
        finally:
            self.trainer.checkpoints.close()

    @property
    def init(self):
        return initialisation(self.classifier, SIZE)

    def steps(self) -> list[int]:
        return self.trainer.checkpoints.steps()

    def restored(self, step: int):
        """The state of a checkpoint."""
        state = self.trainer.restore(self.phases, self.init, self.trainer.checkpoints.sealed(step))
        return jax.tree.map(np.array, state)

    def log(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, without the speed of this machine."""
        lines = [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]
        return [{name: line[name] for name in line if name not in ("images_per_second", "seconds")} for line in lines]

    def _constants(self, phase: Phase) -> dict[str, np.ndarray]:
        even = np.ones(len(self.photographs.classes))
        return self.classifier.constants(even, even / len(even))

    def _load(self, records: np.ndarray) -> np.ndarray:
        return load(self.photographs, records, SIZE)

    def _batches(self, phase: Phase, start: int):
        batches = training_batches(
            self.photographs, phase.sampler, self._load, start=start, stop=phase.steps, threads=1
        )
        return self.batches(batches, phase, start)

    def _validate(self, phase: Phase, variables) -> dict[str, float]:
        batches = held_out_batches(
            self.photographs, VALIDATION, EvaluationBatches(len(VALIDATION), BATCH), self._load, threads=0
        )
        columns, terms = collect(
            self.evaluation_step,
            variables,
            batches,
            len(VALIDATION),
            mesh=self.mesh,
            check=self.trainer.check_interrupted,
        )
        predictions = tables(columns, self.photographs, VALIDATION, split="validation", protocol={})[""]
        return {"accuracy": float(np.mean(predictions.predicted == predictions.labels)), **terms}


@pytest.fixture(scope="session")
def run_in(photographs, classifier, evaluation_step, mesh, phase) -> Callable[..., Run]:
    """A run in a folder, by default of two phases: three steps of the head alone, then four of everything."""

    def make(folder: Path, phases: list[Phase] | None = None, **fields) -> Run:
        phases = phases or [phase("head", 3, frozen=("stem", "features")), phase("all", 4)]
        periods = {name: fields.pop(name) for name in ("evaluate_every", "checkpoint_every") if name in fields}
        phases = [dataclasses.replace(phase, **periods) for phase in phases]
        names = {field.name for field in dataclasses.fields(LoopSettings)}
        settings = {"seed": 5, "batch": BATCH, "optimizer": OptimizerSettings(name="adam"), "log_every": 2}
        settings |= {name: fields.pop(name) for name in list(fields) if name in names}
        return Run(folder, phases, LoopSettings(**settings), photographs, classifier, evaluation_step, mesh, **fields)

    return make


@pytest.fixture
def run(tmp_path: Path, run_in: Callable[..., Run]) -> Callable[..., Run]:
    """`run_in` a folder of this test's own."""
    return functools.partial(run_in, tmp_path / "run")


@pytest.fixture(scope="session")
def assert_identical() -> Callable[[Any, Any], None]:
    """Two trees have the same structure and the same bits."""

    def check(found: Any, expected: Any) -> None:
        assert jax.tree.structure(found) == jax.tree.structure(expected)
        jax.tree.map(np.testing.assert_array_equal, found, expected)

    return check
