"""Writes tests/explain/goldens/resnet_tiny.npz: what pytorch-grad-cam says of a small network in PyTorch.

    python tools/make_explain_goldens.py     needs torch, torchvision and grad-cam beside skinjax

The network is `resnet_tiny` by torchvision's blocks, filled with tools/parity.py's numbers; it runs in float64. Stored
are, in float32, Grad-CAM before and after it is scaled and enlarged, and guided gradients.
"""

import numpy as np
import parity
import torch
from torch import nn

try:
    import torchvision  # noqa: F401
except RuntimeError:  # without its compiled operators it imports once these two exist; nothing here uses them
    _operators = torch.library.Library("torchvision", "DEF")
    _operators.define("nms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    _operators.define("qnms(Tensor boxes, Tensor scores, float threshold) -> Tensor")

from pytorch_grad_cam import GradCAM, GuidedBackpropReLUModel
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchvision.models.resnet import BasicBlock

GOLDEN = parity.GOLDENS.parent.parent / "explain" / "goldens" / "resnet_tiny.npz"
SIZE, GAIN, CLASSES = 64, 2.0, (0, 5)  # maps of either sign
LAYERS = {"stage2": "layer2", "features": "layer4"}
EVERY = 4  # pixels


class Tiny(nn.Module):
    """A ResNet with one block in each stage and four channels in the first."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False)
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(4, 4))
        for number, width in enumerate((8, 16, 32), 2):
            shortcut = nn.Sequential(nn.Conv2d(width // 2, width, 1, 2, bias=False), nn.BatchNorm2d(width))
            self.add_module(f"layer{number}", nn.Sequential(BasicBlock(width // 2, width, 2, shortcut)))
        self.fc = nn.Linear(32, parity.CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def filled() -> Tiny:
    """The network with parity's numbers in evaluation mode."""
    network = Tiny()
    tensors = {
        name: torch.from_numpy(parity.tensor(name, tuple(tensor.shape), GAIN, parity.EVALUATION_BIAS))
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    network.load_state_dict(tensors, strict=False)
    return network.double().eval()


def main() -> None:
    images = torch.from_numpy(parity.images(len(CLASSES), SIZE)).permute(0, 3, 1, 2).double()
    targets = [ClassifierOutputTarget(number) for number in CLASSES]
    golden: dict[str, np.ndarray] = {}
    for stage, layer in LAYERS.items():
        network = filled()
        layers = [getattr(network, layer)]
        cam = GradCAM(network, layers)
        golden[f"{stage}_scaled"] = cam(images, targets)[:, ::EVERY, ::EVERY]
        activations = cam.activations_and_grads.activations[0].numpy()
        gradients = cam.activations_and_grads.gradients[0].numpy()
        golden[stage] = cam.get_cam_image(images, layers[0], targets, activations, gradients)
    for_image = [GuidedBackpropReLUModel(filled(), "cpu")(x[None], c) for x, c in zip(images, CLASSES, strict=True)]
    golden["guided"] = np.stack(for_image)[:, ::EVERY, ::EVERY]
    for name, values in golden.items():
        print(f"{name}: {values.shape}, from {values.min():.3g} to {values.max():.3g}")
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN, **{name: np.float32(values) for name, values in golden.items()})


if __name__ == "__main__":
    main()
