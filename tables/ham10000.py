"""Our own tables on HAM10000 (`skinjax prepare ham10000`), most of them of MobileNet-v2 from ImageNet weights.

    skinjax reproduce tables/ham10000.py --table=Stages

Two files are read from the folder where this is started: `mobilenetv2_100_same.safetensors`, the weights of that
backbone (docs/weights.md), and `indices_tbe.csv`, paper 003's published split (docs/split.md). The figures in docs/ are
of copies of 200x150.

| table | seeds | minutes on 2 idle cores | what it says |
|---|---|---|---|
| Leak | 2 | 14 | docs/leak_effect.md |
| Start rates, Start | 1, 3 | 50 | docs/pretrained_gain.md |
| Balancing rates, Balancing | 1, 3 | 50 | docs/patch_attention.md |
| Phases | 1, on five folds | 50 | docs/phases.md |
| Stages | 1, on five folds | 30 | docs/stages.md |
| Synergic | 1, on five folds | 45 | docs/synergic.md |
| Leaderboard | 1 | 12 | docs/reproduce.md |
"""

from collections.abc import Mapping

from skinjax.papers.printed import Table, claims, comparison

RECALL, F1, ACCURACY = {"Macro recall": "macro_recall"}, {"Macro F1": "macro_f1"}, {"Accuracy": "accuracy"}
IMAGENET = "model.weights=mobilenetv2_100_same.safetensors"
PLAIN = "configs/baselines.py:skin7"  # whose settings the tables below change

PARTED = ("split.protocol=lesion_grouped", "split.folds=1", "split.test=0.2", "split.validation=0.1")
SMALL = ("stored_size.height=112", "stored_size.width=112", "views.size=(96,96)", "views.train=plain", "cache=host")
ADAM = ("optimizer.name=adam", "phases.train.unit=steps", "phases.train.schedule=cosine")
NARROW = (
    *("model.backbone=resnet_narrow", "model.weights=", *PARTED, *SMALL, *ADAM, "optimizer.learning_rate=0.002"),
    *("sampler=balanced_batches", "batch=32", "phases.train.duration=3000"),
)
SHORT = (
    *("model.backbone=mobilenetv2_100_same", *PARTED, *SMALL, *ADAM, "stored_size.filter=bicubic"),
    *("views.normalisation=half", "sampler=balanced_batches", "batch=32", "phases.train.duration=500"),
    *("phases.train.warmup=50", "evaluations.every=0.0"),
)

# Of each row the rates that it was offered; the first has the highest macro recall on validation with seed 0.
STARTS = {"scratch": ((3e-3, 3e-4, 1e-3), ("model.weights=",)), "ImageNet": ((1e-3, 3e-4, 3e-3), (IMAGENET,))}
PUBLISHED = (IMAGENET, "split.protocol=file", "split.file=indices_tbe.csv", "batch=35")  # a multiple of the classes
STRATEGIES = {
    "no balancing": ((1e-3, 3e-4, 3e-3), (*PUBLISHED, "sampler=natural")),
    "loss weighting": ((3e-4, 1e-3, 3e-3), (*PUBLISHED, "sampler=natural", "loss.class_weights=inverse")),
    "balanced batches": ((1e-3, 3e-4, 3e-3), PUBLISHED),
}
Offered = Mapping[str, tuple[tuple[float, ...], tuple[str, ...]]]


def rates(rows: Offered) -> Table:
    """Every rate of every row on the validation part."""
    return comparison(
        {"Macro recall on validation": "validation:macro_recall"},
        {
            f"{name}, {rate:g}": (PLAIN, *changes, f"optimizer.learning_rate={rate}")
            for name, (offered, changes) in rows.items()
            for rate in sorted(offered)
        },
        SHORT,
    )


def chosen(rows: Offered, *orders: str) -> Table:
    """Every row at the rate that validation chooses."""
    trained = {name: (PLAIN, *own, f"optimizer.learning_rate={offered[0]}") for name, (offered, own) in rows.items()}
    return comparison(RECALL | F1 | ACCURACY, trained, SHORT, claims=claims("Macro recall", *orders))


# The full rates are a tenth of where the loss is lowest in `skinjax lr-range --repeats=3` of the first fold.
BY_DEPTH = ("phases.all.learning_rate_multipliers=(('early',0.01),('late',0.1),('top',1.0))",)
DEPTHS = {
    "one rate": ("phases.all.learning_rate_multipliers=(('.*',1.0),)", "optimizer.learning_rate=0.00094"),
    "by depth": (*BY_DEPTH, "optimizer.learning_rate=0.0023"),
}
PHASES = {
    f"{name}, {depth}": (f"configs/schedules.py:ham10000_{variant}", *changes)
    for name, variant in (("one phase", "one_phase"), ("two phases", "two_phases"))
    for depth, changes in DEPTHS.items()
}

# What `skinjax reproduce leaderboard` trains on ISIC 2018, here on the first of five lesion-grouped folds.
HEADS, CORRECTED = {"linear head": "linear", "fine-tuned": "fine_tuned"}, "prior-corrected"
ENDINGS = {"plain": "", "balanced batches": "_balanced", CORRECTED: ""}
LEADERBOARD = {
    f"{kind}, {how}": (f"configs/leaderboard.py:ham10000_copies_{variant}{ending}",)
    for kind, variant in HEADS.items()
    for how, ending in ENDINGS.items()
}

TABLES = {
    "Leak": comparison(
        RECALL | F1 | ACCURACY,
        {name: (PLAIN, f"split.protocol={name}") for name in ("lesion_grouped", "image_stratified")},
        NARROW,
        claims=claims("Macro recall", "image_stratified > lesion_grouped"),
    ),
    "Start rates": rates(STARTS),
    "Start": chosen(STARTS, "ImageNet > scratch"),
    "Balancing rates": rates(STRATEGIES),
    "Balancing": chosen(STRATEGIES, "loss weighting > no balancing", "balanced batches > no balancing"),
    "Phases": comparison(
        RECALL | ACCURACY | F1,
        PHASES,
        (IMAGENET,),
        folds=5,
        claims=claims(
            "Macro recall",
            "one phase, by depth > one phase, one rate",
            "two phases, one rate > one phase, one rate",
            "two phases, by depth > two phases, one rate",
            "two phases, by depth > one phase, one rate",
        ),
    ),
    "Stages": comparison(
        RECALL | ACCURACY | F1,
        {
            f"{name} stage{'s' * (name == 'two')}": (f"configs/two_stage.py:ham10000_copies_{name}",)
            for name in ("one", "two")
        },
        (IMAGENET,),
        folds=5,
        claims=claims("Macro recall", "two stages > one stage"),
    ),
    "Leaderboard": comparison(
        {"Balanced accuracy": "macro_recall"} | ACCURACY | {"AUC": "macro_auc"},
        LEADERBOARD,
        (IMAGENET,),
        claims=claims(
            "Balanced accuracy",
            "fine-tuned, plain > linear head, plain",
            *(f"{kind}, {how} > {kind}, plain" for kind in HEADS for how in ("balanced batches", CORRECTED)),
        ),
        corrected=tuple(f"{kind}, {CORRECTED}" for kind in HEADS),
    ),
    "Synergic": comparison(
        {"AUC": "macro_auc"} | RECALL | ACCURACY | F1,
        {
            name: (f"configs/synergic.py:ham10000_{variant}",)
            for name, variant in (("ensemble", "ensemble"), ("SDL", "sdl"))
        },
        (IMAGENET,),
        folds=5,
        claims=claims("AUC", "SDL > ensemble"),
    ),
}
