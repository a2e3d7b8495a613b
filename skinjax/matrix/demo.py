"""The demo scale: the recipe of a paper's row on drawn photographs, with a tiny network in place of each, in seconds.

What a row is stays: its method, loss, sampler, views, phases and the shape of its schedules. All are trained by Adam,
as rates for weights from ImageNet move nothing here. Its figures say nothing.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from skinjax.core.settings import Settings
from skinjax.data.dataset import DatasetSettings
from skinjax.data.pipeline import StoredSize
from skinjax.data.splits.protocols import DRAWN, SplitSettings
from skinjax.images.views import ViewSettings
from skinjax.recipe.recipe import CheckpointSettings, LoggingSettings, Recipe
from skinjax.training.optimizers import OptimizerSettings
from skinjax.training.phases import PhaseSettings
from skinjax.training.schedules import WarmRestartsSettings

SCALE = "demo scale, synthetic"
IMAGES, STEPS, SIDE = 420, 48, 32  # photographs, steps of all phases, and pixels of a network's input
BATCH = 32  # at most, and then a multiple of the classes where there are fewer, as balanced batches have it
FEWEST_STEPS = 6  # of a phase
RATE = 2e-3
IMBALANCE = 8.0  # mild, so that each class is in each part
CLASSES = {"sd198": 20, "derm7pt": 6, "dermai": 10, "cifar10": 10, "isic2016": 2}  # of other data sets HAM10000's 7
# What stands for each network; another one for any that a table has beside it.
STAND_INS = {
    "resnet34": "resnet_tiny",
    "resnet50": "resnet_tiny_6",
    "resnet101": "resnet_tiny_8",
    "resnet152": "resnet_tiny_10",
    "densenet161": "resnet_tiny_12",
    "inception_v3": "resnet_tiny",
    "densenet121": "resnet_tiny_12",
    "legacy_seresnext50_32x4d": "resnet_tiny_8",
    "tf_efficientnet_b7": "resnet_tiny_8",
    "mobilenetv1_100": "resnet_tiny_10",
    "mobilenetv2_100": "resnet_tiny",
    "efficientnet_b0": "resnet_tiny_10",
    "convnext_tiny": "resnet_tiny_8",
}
# Widths of what methods build beside the network.
WIDTHS: dict[str, Any] = {"width": 2, "decoder": {"channels": 16}, "gru": {"features": 32}}


def at_demo_scale(recipe: Recipe) -> Recipe:
    """The recipe at demo scale."""
    classes, factor = CLASSES.get(recipe.dataset.name, 7), SIDE / max(recipe.views.size)
    phases = recipe.in_order()
    durations = sum(phase.duration for phase in phases.values())
    steps = {name: max(FEWEST_STEPS, round(STEPS * phase.duration / durations)) for name, phase in phases.items()}
    small = tuple(min(k, max(3, classes // 5)) for k in recipe.evaluations.small)
    stored = dataclasses.replace(
        recipe.stored_size,
        height=scaled(recipe.stored_size.height, factor),
        width=scaled(recipe.stored_size.width, factor),
    )
    model = recipe.model.replace(
        backbone=STAND_INS.get(recipe.model.backbone, "resnet_tiny"),
        weights="",
        weights_sha256="",
        remat=(),
        drop_path=None,
        final_relu=True,
    )
    return dataclasses.replace(
        recipe,
        dataset=drawn(recipe.dataset.name, stored),
        split=parted(recipe.split),
        stored_size=stored,
        views=shown(recipe.views, factor),
        model=model,
        method=narrow(recipe.method, factor),
        batch=min(recipe.batch, BATCH // classes * classes),
        optimizer=OptimizerSettings(name="adam", learning_rate=RATE),
        accumulate=1,
        cache="device",
        phases={name: shortened(phase, steps[name]) for name, phase in phases.items()},
        phase_order=tuple(phases),
        evaluations=recipe.evaluations.replace(every=0.0, patience=0, target=None, small=small),
        checkpoints=CheckpointSettings(every=0.0),
        logging=LoggingSettings(tensorboard=False, report=False),
    )


def scaled(pixels: int, factor: float) -> int:
    """Pixels at demo scale."""
    return max(1, round(pixels * factor))


def drawn(name: str, stored: StoredSize) -> DatasetSettings:
    """Drawn photographs in place of a data set's, as large as they are stored; a test set elsewhere has others."""
    arguments = {
        "images": IMAGES,
        "height": max(32, stored.height),
        "width": max(32, stored.width),
        "classes": CLASSES.get(name, 7),
        "imbalance": IMBALANCE,
        "seed": int(name == "isic2018"),
    }
    return DatasetSettings(name="synthetic", arguments=arguments)


def parted(split: SplitSettings) -> SplitSettings:
    """A drawn split as it is; in place of published parts drawn ones."""
    if split.protocol in DRAWN:
        return split
    validates = split.validation > 0 or (split.published_validation == "kept" and split.protocol == "file")
    return SplitSettings(test=0.3, validation=0.15 if validates else 0.0, seed=split.seed)


def shown(views: ViewSettings, factor: float) -> ViewSettings:
    """The same views of smaller pictures; ImageNet's normalisation where it was that of weights."""
    smaller = {
        name: size and tuple(scaled(side, factor) for side in size)
        for name, size in {"size": views.size, "window": views.window}.items()
    }
    normalisation = "imagenet" if views.normalisation == "weights" else views.normalisation
    return views.replace(**smaller, normalisation=normalisation)


def narrow(method: Settings, factor: float) -> Any:
    """The method with narrow parts, and patches of fewer pixels."""
    own = {field.name for field in dataclasses.fields(method)}
    changes: dict[str, Any] = {}
    for name, value in WIDTHS.items():
        if name in own:
            changes[name] = getattr(method, name).replace(**value) if isinstance(value, Mapping) else value
    if "patch" in own:
        changes["patch"] = scaled(method.patch, factor)  # type: ignore[attr-defined]
    return method.replace(**changes)


def shortened(phase: PhaseSettings, steps: int) -> PhaseSettings:
    """The phase over so many steps, without early ends; what it reads beside the run's data set is drawn."""
    elsewhere = {"images": IMAGES, "height": SIDE, "width": SIDE, "seed": 2}
    whole = phase.lasting(steps)
    if isinstance(whole.schedule, WarmRestartsSettings):
        whole = whole.replace(schedule=whole.schedule.replace(cycle=max(1.0, whole.schedule.cycle)))
    evaluations = {name: value for name, value in whole.evaluations.items() if name not in ("patience", "target")}
    dataset = {"name": "synthetic", "arguments": elsewhere} if phase.dataset else {}
    return whole.replace(evaluations=evaluations, dataset=dataset)
