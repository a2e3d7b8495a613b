"""Writes tests/models/goldens/NAME.npz: what the reference networks answer when filled by tools/parity.py's formula.

    python tools/make_parity_goldens.py [NAME ...]     needs torch, timm and torchvision beside skinjax

The references are timm's and run in float64; what is stored is float32.
"""

import argparse

import numpy as np
import parity
import torch
from torch import nn

try:
    import torchvision  # noqa: F401
except RuntimeError:  # without its compiled operators it imports once these two exist; no network here uses them
    _operators = torch.library.Library("torchvision", "DEF")
    _operators.define("nms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    _operators.define("qnms(Tensor boxes, Tensor scores, float threshold) -> Tensor")

import timm

from skinjax.models.timm_names import NAMES
from skinjax.models.weights import timm_names

# name: (timm's name, arguments, side of the images, gain of the kernels)
REFERENCES = {
    "efficientnet_b0": ("efficientnet_b0", {}, 64, 2.7),
    "efficientnet_b1": ("efficientnet_b1", {}, 64, 2.65),
    "efficientnet_b2": ("efficientnet_b2", {}, 64, 2.6),
    "efficientnet_b3": ("efficientnet_b3", {}, 64, 2.55),
    "efficientnet_b4": ("efficientnet_b4", {}, 64, 2.5),
    "efficientnet_b5": ("efficientnet_b5", {}, 64, 2.45),
    "efficientnet_b6": ("efficientnet_b6", {}, 64, 2.35),
    "efficientnet_b7": ("efficientnet_b7", {}, 64, 2.3),
    "tf_efficientnet_b0": ("tf_efficientnet_b0", {}, 72, 2.7),
    "tf_efficientnet_b1": ("tf_efficientnet_b1", {}, 72, 2.65),
    "tf_efficientnet_b2": ("tf_efficientnet_b2", {}, 72, 2.6),
    "tf_efficientnet_b3": ("tf_efficientnet_b3", {}, 72, 2.55),
    "tf_efficientnet_b4": ("tf_efficientnet_b4", {}, 72, 2.5),
    "tf_efficientnet_b5": ("tf_efficientnet_b5", {}, 72, 2.45),
    "tf_efficientnet_b6": ("tf_efficientnet_b6", {}, 72, 2.35),
    "tf_efficientnet_b7": ("tf_efficientnet_b7", {}, 72, 2.3),
    "convnext_tiny": ("convnext_tiny", {}, 64, 1.0),
    "densenet121": ("densenet121", {}, 64, 2.0),
    "densenet161": ("densenet161", {}, 64, 2.0),
    "densenet169": ("densenet169", {}, 64, 2.0),
    "densenet201": ("densenet201", {}, 64, 2.0),
    "inception_v3": ("inception_v3", {}, 107, 2.6),
    "legacy_seresnext50_32x4d": ("legacy_seresnext50_32x4d", {"drop_rate": 0.0}, 64, 2.0),
    "seresnext50_32x4d": ("seresnext50_32x4d", {}, 64, 2.0),
    "mobilenetv1_100": ("mobilenetv1_100", {}, 72, 3.0),
    "mobilenetv1_100_same": ("mobilenetv1_100", {"pad_type": "same"}, 72, 3.0),
    "mobilenetv2_100": ("mobilenetv2_100", {}, 72, 2.25),
    "mobilenetv2_100_same": ("mobilenetv2_100", {"pad_type": "same"}, 72, 2.25),
    "resnet18": ("resnet18", {}, 64, 2.0),
    "resnet34": ("resnet34", {}, 64, 1.75),
    "resnet50": ("resnet50", {}, 64, 2.0),
    "resnet101": ("resnet101", {}, 64, 1.55),
    "resnet152": ("resnet152", {}, 64, 1.4),
    "vgg16": ("vgg16", {}, 64, 1.4),
    "vgg16_bn": ("vgg16_bn", {}, 64, 2.8),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(REFERENCES), metavar="NAME")
    parity.GOLDENS.mkdir(exist_ok=True)
    for name in parser.parse_args().names:
        golden, ranges = reference_outputs(name)
        spread = np.abs(golden["logits"][0] - golden["logits"][1]).max() / np.abs(golden["logits"]).max()
        print(
            f"{name:<28} {golden['size']:>3} px, activations {ranges.min():.2f} to {ranges.max():.2f}, "
            f"two images differ by {100 * spread:.1f} % of the largest logit",
            flush=True,
        )
        if ranges.min() < 0.1 or ranges.max() > 10 or spread < 0.01:
            raise SystemExit(
                f"{name} is not stored: its activations leave [0.1, 10] or hide the image; change its gain"
            )
        np.savez_compressed(parity.GOLDENS / f"{name}.npz", **golden)


def reference_outputs(name: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """(what is stored, the root mean square of every stage's map) of the reference of a registered backbone."""
    timm_name, arguments, size, gain = REFERENCES[name]
    model = timm.create_model(timm_name, num_classes=parity.CLASSES, **arguments)
    model = model.double()
    fill(model, gain, parity.EVALUATION_BIAS)
    stages = stage_of_parameters(name, size)
    golden = {"size": np.array(size), "gain": np.array(gain)}
    x = torch.from_numpy(parity.images(2, size)).double().permute(0, 3, 1, 2)
    sizes = watch_sizes(model, stages)
    with torch.no_grad():
        model.eval()
        maps = model.forward_features(x)
        golden["pooled"] = model.forward_head(maps, pre_logits=True).flatten(1).numpy()
        golden["logits"] = model(x).numpy()
    fill(model, gain, parity.training_bias(name))
    model.train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    x = torch.from_numpy(parity.images(4, size)).double().permute(0, 3, 1, 2)
    logits = model(x)
    golden["train_logits"] = logits.detach().numpy()
    (logits * torch.from_numpy(parity.coefficients(tuple(logits.shape)))).sum().backward()
    golden |= parity.sampled_statistics({key: value.numpy() for key, value in model.state_dict().items()})
    squares = dict.fromkeys(dict.fromkeys(stages.values()), 0.0)
    for key, parameter in model.named_parameters():
        squares[stages[key]] += float(parameter.grad.square().sum())
    golden["gradient_norms"] = np.sqrt([squares[stage] for stage in squares])
    return {key: value.astype(np.int32 if key == "size" else np.float32) for key, value in golden.items()}, np.array(
        sizes
    )


def fill(model: nn.Module, gain: float, bias: tuple[float, float]) -> None:
    """Every tensor of the model from its name."""
    for name, value in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            value.copy_(torch.from_numpy(parity.tensor(name, tuple(value.shape), gain, bias)))


def stage_of_parameters(name: str, size: int) -> dict[str, str]:
    """{timm's name of a parameter: our stage}, in the order of the stages."""
    backbone, _, variables = parity.network(name, size)
    names = timm_names({"params": variables["params"]}, NAMES[type(backbone)])
    stage = {key: path[2] if path[1] == "backbone" else "head" for path, key in names.items()}
    order = (*backbone.stages, "head")
    return dict(sorted(stage.items(), key=lambda item: order.index(item[1])))


def watch_sizes(model: nn.Module, stages: dict[str, str]) -> list[float]:
    """A list that receives the root mean square of the output of every module that holds parameters of its own."""
    sizes: list[float] = []

    def keep(_module, _inputs, output):
        sizes.append(float(output.detach().square().mean().sqrt()))

    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.LayerNorm)) and f"{name}.weight" in stages:
            module.register_forward_hook(keep)
    return sizes


if __name__ == "__main__":
    main()
