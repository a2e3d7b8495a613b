"""Every field that a run has, with its default; the files in configs/ start from here and change few of them."""

from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

# What says where and how loudly a run works; two configs that differ only here are the same run.
NOT_IDENTITY = ("cache", "logging")
EVERY_METHOD = {
    "mixup_share": 0.0,  # 0 = off; give one of the two
    "mixup_beta": 0.0,
    "logit_adjustment": 0.0,  # predictions are of the logits minus this times the log of the training frequencies
}


def defaults(name: str, variant: str) -> ConfigDict:
    """The base of every config: `name` and `variant` are those of the file and of the variant asked for."""
    config = ConfigDict(
        {
            "name": name,
            "variant": variant,
            "seed": 0,
            "dataset": {"name": "synthetic", "arguments": {}},
            "split": {
                "protocol": "lesion_grouped",  # or image_stratified, official (the set's own parts), file
                "test": 0.2,  # of the drawn protocols: official and file have their own test parts
                "validation": 0.15,  # of training, where the official parts or the file have none
                "folds": 1,  # of the drawn protocols
                "fold": 0,
                "seed": 0,
                "file": "",  # a published split, for the protocol file; docs/split.md has the layouts
                "train_on_validation": False,  # the validation part of official parts or a file becomes training
                "allow_leak": False,  # use official parts or a file though they leak, and print by how much
            },
            "stored_size": {"height": 224, "width": 224, "fit": "squash", "filter": "bilinear"},
            "cache": "none",  # where decoded pixels are kept: none, host (a file under --data_dir) or device
            "views": {
                "size": (224, 224),
                "train": "plain",
                "evaluation": "squash",
                "window": (),  # (height, width) that centre_crop cuts and resizes to `size`; empty, `size` itself
                "crops": 9,  # of the view ordered_crop: 5 (corners and centre), 9, 16 or another square
                "grid": (),  # its (rows, columns), instead of `crops`
                "normalisation": "imagenet",  # or weights: that of model.weights
                "corrections": (),  # of the photographs, before either view and in this order, like ("remove_hair",)
            },
            # natural, oversampled, downsampled, balanced_batches, weighted or statically_balanced (fixed copies, once)
            "sampler": "natural",
            "sampler_weights": "inverse",  # of `weighted`: a class weight formula, or column: the data set's `weight`
            "model": {
                "backbone": "resnet50",
                "dtype": "auto",  # bfloat16 on accelerators, float32 on CPUs
                "head": "original",  # the backbone's own, or linear, mlp (001), concat_pool (002), fc1024 (004), cosine
                "dropout": placeholder(float),  # in the head; unset, the network's own rate
                "drop_path": placeholder(float),  # stochastic depth in the backbone; unset, the network's own rate
                "final_relu": True,  # of a DenseNet; off in paper 003's attention and GRU models
                "remat": (),  # stages whose inner maps are computed again in the backward pass, to save memory
                "weights": "",  # to start from: a safetensors file of timm, or timm/NAME on the hub (docs/weights.md)
                "weights_sha256": "",  # what that file must be, to the last byte
            },
            "loss": {
                "name": "cross_entropy",
                "class_weights": "none",
                "weight_exponent": 1.0,  # k of paper 003: each class weight to this power
                "effective_beta": 0.999,  # of the class weights `effective`
                "gamma": 2.0,  # of focal
                "label_smoothing": 0.0,
                "tau": 1.0,  # of logit_adjusted
                "margin": 0.5,  # of ldam, and
                "scale": 30.0,  # that of the logits of model.head cosine, which ldam needs
                "reduction": "torch_weighted_mean",
                # How an image's diagnosis was made (dx_type) and its factor in the loss, like (("histo", 4.0), ...).
                "diagnosis_factors": (),
                "diagnosis_scope": "nv",  # where they hold: nv, benign or all
                "diagnosis_as_released": False,  # with the two defects of paper 003's code, which knows no scope
            },
            "method": {"name": "classifier", **EVERY_METHOD},
            "optimizer": {
                "name": "sgd",
                "learning_rate": 1e-3,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 0.0,
                "weight_decay_multipliers": ((".*", 1.0),),
                "clip_norm": 0.0,
            },
            "batch": 32,
            "accumulate": 1,
            "ema_decay": 0.0,
            "phases": {"train": phase()},
            "phase_order": ("train",),
            "evaluate": "last",  # or best: the checkpoint that the final figures are of
            "evaluations": {"every": 1.0, "unit": "epochs", "metric": "macro_recall", "patience": 0},
            "checkpoints": {"every": 1.0, "unit": "epochs", "keep": 2},
            "logging": {"every": 20, "tensorboard": True, "threads": 4},
        }
    )
    return config.lock()


def decoder_method(alpha: float = 10.0, beta: float = 0.2) -> dict[str, Any]:
    """The fields of paper 000's method; beta=0 is CD."""
    return {
        "name": "decoder_classifier",
        **EVERY_METHOD,
        "alpha": alpha,
        "beta": beta,
        "norm": "l2",
        # Of eq. 2; the formula none, with per_image, is the plain mean over images.
        "reconstruction_weights": "odds_normalised",
        "reconstruction_reduction": "per_image",  # eq. 2 in expectation; or class_means, 0 for a class not in the batch
        "twin_batch_norm": "update",
        "stop_reconstruction_gradient": False,
        "decoder": {"channels": 256, "kernels": (4, 8), "strides": (4, 8), "paddings": (0, 0)},
    }


def patches_method() -> dict[str, Any]:
    """The fields of paper 003's method; with nothing changed, the mean of the patches' logits."""
    return {
        "name": "patches",
        **EVERY_METHOD,
        "attention": (),  # where patches are scaled: "pixels" (initial), "features" (end), or a stage between
        "join": "logits",  # how patches become one answer: logits, probabilities (their means), votes or gru
        "patch_dropout": 0.0,  # the probability that a patch of a training image is all zero, for any number of them
        "gru": {"features": 1024, "layers": 1, "both_directions": False},
    }


def phase(duration: float = 10.0, unit: str = "epochs") -> dict[str, Any]:
    """A phase; `duration`, `milestones` and `warmup` are counted in `unit` (steps, epochs or examples)."""
    return {
        "duration": duration,
        "unit": unit,
        "schedule": "constant",
        "milestones": (),
        "factor": 0.1,
        "warmup": 0.0,
        "learning_rate_multipliers": ((".*", 1.0),),
        "frozen": (),
        "sampler": "",  # another than the run's
        "classes": (),  # train on the images of these only
        "loss": {},  # fields of `loss` that differ in this phase; those of the diagnosis are the run's
    }
