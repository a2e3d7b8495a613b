"""Writes tests/models/goldens/NAME.npz: what the reference networks answer when filled by tools/parity.py's formula.

    python tools/make_parity_goldens.py [NAME ...]     needs torch, timm and torchvision beside skinjax

The references are timm's, but for the U-Net's, and run in float64; what is stored is float32.
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

from skinjax.models.pretrained.mapping import timm_names


class Level(nn.Sequential):
    """Two 3x3 convolutions, normalised and with ReLU."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        for number, channels in enumerate((inputs, width)):
            self.add_module(f"conv{number}", nn.Conv2d(channels, width, 3, padding=1, bias=False))
            self.add_module(f"norm{number}", nn.BatchNorm2d(width))
            self.add_module(f"relu{number}", nn.ReLU())


class UNet(nn.Module):
    """The encoder of skinjax/models/families/unet.py and a linear classifier, with the methods of a timm model."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.level1, self.level2 = Level(3, 32), Level(32, 64)
        self.level3, self.level4 = Level(64, 128), Level(128, 256)
        self.features = Level(256, 512)
        self.classifier = nn.Linear(512, num_classes)

    def maps(self, x: torch.Tensor) -> list[torch.Tensor]:
        maps = [self.level1(x)]
        for level in (self.level2, self.level3, self.level4, self.features):
            maps.append(level(nn.functional.max_pool2d(maps[-1], 2, ceil_mode=True)))
        return maps

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return self.maps(x)[-1]

    def forward_head(self, features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        pooled = features.mean((2, 3))
        return pooled if pre_logits else self.classifier(pooled)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(x))


class Restorer(nn.Module):
    """The other half of the U-Net: five maps to an image."""

    def __init__(self):
        super().__init__()
        for number, width in enumerate((32, 64, 128, 256), 1):
            self.add_module(f"level{number}_up", nn.ConvTranspose2d(2 * width, width, 2, stride=2))
            self.add_module(f"level{number}", Level(2 * width, width))
        self.image = nn.Conv2d(32, 3, 1)

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        *maps, x = maps
        for number in (4, 3, 2, 1):
            seen = maps[number - 1]
            x = getattr(self, f"level{number}_up")(x)[:, :, : seen.shape[2], : seen.shape[3]]
            x = getattr(self, f"level{number}")(torch.cat([seen, x], 1))
        return self.image(x)


# name: (timm's name or our own reference, arguments, side of the images, gain of the kernels)
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
    "densenet121": ("densenet121", {}, 72, 2.0),
    "densenet161": ("densenet161", {}, 72, 2.0),
    "densenet169": ("densenet169", {}, 72, 2.0),
    "densenet201": ("densenet201", {}, 72, 2.0),
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
    "vgg16": ("vgg16", {}, 76, 1.4),
    "vgg16_bn": ("vgg16_bn", {}, 76, 2.2),
    "unet": (UNet, {}, 37, 2.0),
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


def reference(name: str, classes: int) -> nn.Module:
    """The reference of a registered backbone."""
    create, arguments, *_ = REFERENCES[name]
    if isinstance(create, str):
        return timm.create_model(create, num_classes=classes, **arguments)
    return create(classes, **arguments)


def reference_outputs(name: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """(what is stored, the root mean square of every stage's map) of the reference of a registered backbone."""
    _, _, size, gain = REFERENCES[name]
    model = reference(name, parity.CLASSES).double()
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
        if isinstance(model, UNet):
            golden["restored"] = restored(model, x, gain)
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
    squares = dict.fromkeys(stages.values(), 0.0)
    for key, parameter in model.named_parameters():
        squares[stages[key]] += float(parameter.grad.square().sum())
    golden["gradient_norms"] = np.sqrt(list(squares.values()))
    return {key: value.astype(np.int32 if key == "size" else np.float32) for key, value in golden.items()}, np.array(
        sizes
    )


def restored(encoder: UNet, x: torch.Tensor, gain: float) -> np.ndarray:
    """Every fourth pixel [images, rows, columns, 3] of what the restorer makes of `x` in evaluation mode."""
    restorer = Restorer().double().eval()
    fill(restorer, gain, parity.EVALUATION_BIAS)
    return restorer(encoder.maps(x)).permute(0, 2, 3, 1)[:, ::4, ::4].numpy()


def fill(model: nn.Module, gain: float, bias: tuple[float, float]) -> None:
    """Every tensor of the model from its name."""
    for name, value in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            value.copy_(torch.from_numpy(parity.tensor(name, tuple(value.shape), gain, bias)))


def stage_of_parameters(name: str, size: int) -> dict[str, str]:
    """{timm's name of a parameter: our stage}, in the order of the stages."""
    backbone, _, variables = parity.network(name, size)
    names = timm_names({"params": variables["params"]}, type(backbone))
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
