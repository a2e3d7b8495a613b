"""Our own tables on drawn photographs, a test bench and not medicine: `skinjax reproduce tables/drawn.py --seeds=5`.

    python tools/drawn_sets.py                                            # draws the two sets; 3 minutes on 2 cores
    skinjax reproduce tables/drawn.py --table="Focal loss" --seeds=5

| table | seeds | minutes on 2 idle cores | what it says |
|---|---|---|---|
| CDC | 3 | 30 | docs/demo_table.md |
| Focal loss | 5 | 30 | docs/focal.md |
| Stages | 5 | 30 | docs/stages_ablation.md |
| Corrections | 5 | 6 more | docs/corrections_table.md |
| Pretexts | 4 | 55 | docs/pretexts.md |
| Patches, Balancing | 3 | 55 | docs/patch_attention.md |
| Balanced training | 3 | 20 | docs/balanced_judging.md |
| Synergy rates | 1 | 5 | docs/synergy.md |
| Synergy | 8 | 25 | docs/synergy.md |
"""

from skinjax.papers.printed import claims, comparison

RECALL, ACCURACY, F1 = {"Macro recall": "macro_recall"}, {"Accuracy": "accuracy"}, {"Macro F1": "macro_f1"}

CDC = {
    "CDC": ("configs/cdc.py:demo",),
    "CD": ("configs/cdc.py:demo", "method.beta=0.0"),
    "plain": ("configs/baselines.py:demo",),
    "CDC, twin statistics kept": ("configs/cdc.py:demo", "method.twin_batch_norm=update"),
}

# 8,012 photographs with HAM10000's counts, and a test part of 300 lesions of each class, where accuracy is recall.
HAM10000 = (
    "dataset.name=synthetic_ham10000",
    "split.protocol=official",
    "stored_size.height=74",
    "stored_size.width=74",
    "views.size=(64,64)",
    "cache=host",
    "evaluations.every=0.0",
    "checkpoints.every=0.0",
)
FOCAL, TWO = "configs/focal.py:demo", "configs/two_stage.py:demo"
SAMPLERS = {"natural": "natural", "down-sampled": "downsampled"}
STAGES = {
    "one stage": (FOCAL,),
    "one stage, discount": (FOCAL, "loss.class_factors=(('nv',0.5),)"),
    "two stages": (f"{TWO}_no_discount",),
    "two stages, discount": (TWO,),
    "shared trunk, discount": (f"{TWO}_shared_trunk",),
}
# Seen so by a network that was trained without.
CORRECTED = {
    "the middle, 7/8 of a side": ("views.evaluation=centre_crop", "views.window=(65,65)"),
    "the middle, 3/4 of a side": ("views.evaluation=centre_crop", "views.window=(56,56)"),
    "field of view found and cut": ("views.corrections=('field_of_view_crop',)",),
    "gamma 1.3": ("views.corrections=('gamma',)",),
    "even illumination": ("views.corrections=('even_illumination',)",),
    "shades of grey": ("views.corrections=('shades_of_grey',)",),
    "hairs removed": ("views.corrections=('remove_hair',)",),
}
PLAIN = "as trained"


def images(number: int, *phases: str) -> tuple[str, ...]:
    """The changes that give each phase so many images, a tenth of them to warm up."""
    fields = {"duration": float(number), "warmup": number / 10}
    return tuple(f"phases.{phase}.{name}={value}" for phase in phases for name, value in fields.items())


JOINT, IN_TURN = images(20_000, "train"), images(20_000, "pretext", "classes")
PRETEXTS = {
    "scratch": (FOCAL, *JOINT),
    "scratch, twice the images": (FOCAL, *images(40_000, "train")),
    "rotation, joint": ("configs/rotation.py:demo", *JOINT),
    "rotation first": ("configs/rotation.py:demo_sequential", *IN_TURN),
    "restoration, joint": ("configs/restoration.py:demo", *JOINT),
    "restoration first": ("configs/restoration.py:demo_sequential", *IN_TURN),
}
FIRST = ("rotation first", "restoration first")

# Every run sees 12,000 photographs, whatever it sees of them. "ordered": the crops of attention, averaged.
CROPS = (
    "views.crops=9",
    *("phases.train.duration=12000", "phases.train.unit=examples", "phases.train.warmup=1000.0"),
    "evaluations.every=0.0",
    "cache=host",
)
PATCHES = {
    name: (f"configs/patch_attention.py:demo_{name}",)
    for name in ("downsampling", "single_crop", "multi_crop", "initial", "end", "dual")
}
PATCHES["ordered"] = ("configs/patch_attention.py:demo_initial", "method.attention=()")
BALANCING = {
    name: (f"configs/balancing.py:demo_{name}",)
    for name in (
        *("none", "oversampling", "balanced_batches"),
        *("loss_weighting", "loss_weighting_batch_mean", "diagnosis_weighting"),
    )
}

# As many images for each, since copies make an epoch longer.
BALANCED = (
    "dataset.arguments.images=16000",
    "split.test=0.7",
    "split.validation=0.05",
    "phases.train.unit=examples",
    "phases.train.duration=28000.0",
    "phases.train.schedule.cycle=4000.0",
    "evaluations.every=0.0",
)

# The rates have the highest average precision on the validation part with seed 0, of those of `Synergy rates`.
RATES = (3e-4, 1e-3, 3e-3)
APART, PAIRED = "configs/synergic.py:melanomas_ensemble", "configs/synergic.py:melanomas_sdl"
CHOSEN = ("optimizer.learning_rate=0.001",)

TABLES = {
    "CDC": comparison(
        RECALL | ACCURACY | F1 | {"Macro precision": "macro_precision"},
        CDC | {f"{name}, prior-corrected": row for name, row in CDC.items()},
        ("method.logit_adjustment=0.0",),
        claims=claims("Macro recall", "CDC > plain", "CD > plain", "CDC, twin statistics kept > CDC"),
        corrected=tuple(f"{name}, prior-corrected" for name in CDC),
    ),
    "Focal loss": comparison(
        RECALL,
        {
            f"gamma {gamma}, {name}": (FOCAL, f"loss.gamma={gamma}.0", f"sampler={sampler}")
            for name, sampler in SAMPLERS.items()
            for gamma in (0, 1, 5)
        },
        HAM10000,
        claims=claims(
            "Macro recall",
            *(f"gamma {b}, {name} > gamma {a}, {name}" for name in SAMPLERS for a, b in ((0, 1), (1, 5))),
            "gamma 0, down-sampled > gamma 0, natural",
        ),
    ),
    "Stages": comparison(
        RECALL,
        STAGES,
        HAM10000,
        claims=claims(
            "Macro recall",
            "two stages > one stage",
            "two stages, discount > one stage, discount",
            "one stage, discount > one stage",
            "two stages, discount > two stages",
            "two stages, discount > shared trunk, discount",
        ),
    ),
    "Corrections": comparison(
        RECALL,
        {PLAIN: STAGES["one stage"]} | {name: (FOCAL, *seen) for name, seen in CORRECTED.items()},
        HAM10000,
        claims=claims("Macro recall", *(f"{name} > {PLAIN}" for name in CORRECTED)),
        judged=dict.fromkeys(CORRECTED, PLAIN),
    ),
    "Pretexts": comparison(
        RECALL,
        PRETEXTS,
        HAM10000,
        claims=claims(
            "Macro recall",
            *(f"{name} > scratch" for name in list(PRETEXTS)[2:]),
            *(f"{name} > scratch, twice the images" for name in FIRST),
        ),
    ),
    "Patches": comparison(
        RECALL | F1 | ACCURACY,
        PATCHES,
        CROPS,
        claims=claims(
            "Macro recall",
            "multi_crop > single_crop > downsampling",
            *(f"{name} > multi_crop" for name in ("ordered", "initial", "end", "dual")),
            *(f"{name} > ordered" for name in ("initial", "end", "dual")),
        ),
    ),
    "Balancing": comparison(
        RECALL | F1 | ACCURACY,
        BALANCING,
        CROPS,
        claims=claims(
            "Macro recall",
            *(f"{name} > none" for name in list(BALANCING)[1:]),
            "oversampling > loss_weighting",
            "balanced_batches > loss_weighting",
            "diagnosis_weighting > loss_weighting",
        ),
    ),
    "Balanced training": comparison(
        ACCURACY | RECALL,
        {
            "none": ("configs/schedules.py:demo_unbalanced",),
            "static copies": ("configs/schedules.py:demo_static",),
            "balanced batches": ("configs/schedules.py:demo_dynamic",),
        },
        BALANCED,
        claims=claims("Macro recall", "static copies > none", "balanced batches > none"),
    ),
    "Synergy rates": comparison(
        {"AP on validation": "validation:average_precision"},
        {
            f"{name}, {rate:g}": (config, f"optimizer.learning_rate={rate}")
            for name, config in (("ensemble", APART), ("lambda 3", PAIRED))
            for rate in RATES
        },
    ),
    "Synergy": comparison(
        {"AP": "average_precision", "AP as printed": "average_precision_old", "AUC": "macro_auc"} | ACCURACY | RECALL,
        {
            "ensemble": (APART,),
            "lambda 0": (PAIRED, "method.synergy=0.0"),
            "lambda 1": (PAIRED, "method.synergy=1.0"),
            "lambda 3": (PAIRED,),
            "lambda 5": (PAIRED, "method.synergy=5.0"),
            "three networks, lambda 3": (PAIRED, "method.members=3"),
        },
        CHOSEN,
        claims=claims("AP", "lambda 0 > ensemble", "lambda 3 > lambda 0", "lambda 3 > ensemble"),
    ),
}
