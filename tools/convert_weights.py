"""Convert a PyTorch checkpoint (.pth, .pt, .bin, .ckpt) to the safetensors file that skinjax reads. Needs torch.

    python tools/convert_weights.py resnet50.pth resnet50.safetensors --architecture=resnet50 --input_size=224 \\
        --interpolation=bilinear --mean=0.485,0.456,0.406 --std=0.229,0.224,0.225

Only tensors are unpickled (`weights_only=True`): a checkpoint that needs more than that is refused. The tensors keep
their names, without the wrappers of training programs (`state_dict`, `model`, `module.`, ...), and torchvision's first
DenseNets get those of its later ones; the facts that the flags give go into the file's header.
"""

import argparse
import re
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skinjax.core.errors import UserError
from skinjax.core.files import write_atomically
from skinjax.models.pretrained.facts import WORDS, facts_from_header
from skinjax.models.pretrained.files import as_safetensors

WRAPPERS = ("state_dict", "model_state_dict", "model", "state_dict_ema", "model_ema", "net", "network")
PREFIXES = ("module.", "_orig_mod.", "model.")
OLD_DENSENET = re.compile(r"(.*\bdenselayer\d+\.(?:norm|conv))\.([12]\.\w+)")  # norm.1.weight is norm1.weight now


def convert(source: Path, target: Path, facts: Mapping[str, str]) -> int:
    """Write the tensors of `source` and these facts (in timm's words) to `target`; returns how many tensors."""
    if target.exists():
        raise UserError(f"{target} is there already: give another name, or remove it")
    facts_from_header(facts, target)  # refuses now what skinjax could not read
    try:
        checkpoint = torch.load(source, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{source} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # the reader of hostile bytes raises anything
        raise UserError(
            f"{source} is no checkpoint that holds tensors alone, and is not opened: {reason_of(error)}"
        ) from error
    tensors = {name: as_array(tensor, f"{name} in {source}") for name, tensor in state_dict(checkpoint, source).items()}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, as_safetensors(tensors, facts))
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror or error}") from error
    return len(tensors)


def state_dict(checkpoint: Any, source: Path) -> dict[str, torch.Tensor]:
    """The tensors by name, out of whatever a training program wrapped them in."""
    while isinstance(checkpoint, Mapping) and (inner := [name for name in WRAPPERS if name in checkpoint]):
        checkpoint = checkpoint[inner[0]]
    if not isinstance(checkpoint, Mapping) or not checkpoint:
        raise UserError(f"{source} holds {type(checkpoint).__name__} and no tensors by name")
    other = [
        name for name, value in checkpoint.items() if not (isinstance(name, str) and isinstance(value, torch.Tensor))
    ]
    if other:
        raise UserError(f"{source} holds {str(other[0])!r}, which is no tensor with a name: is it a checkpoint?")
    wrong = [name for name in checkpoint if not is_name(name)]
    if wrong:
        raise UserError(f"{source} calls a tensor {repr(wrong[0])[:200]}: no network has such a one")
    names = list(checkpoint)
    for prefix in PREFIXES * 2:
        if all(name.startswith(prefix) for name in names):
            names = [name.removeprefix(prefix) for name in names]
    names = [OLD_DENSENET.sub(r"\1\2", name) for name in names]
    if len(set(names)) < len(names):
        raise UserError(f"{source} has DenseNet's tensors under their old names and under the new ones")
    return dict(zip(names, checkpoint.values(), strict=True))


def is_name(name: str) -> bool:
    """Whether skinjax reads a tensor of this name."""
    return name.isprintable() and 0 < len(name) <= 200 and name != "__metadata__"


def as_array(tensor: torch.Tensor, where: str) -> np.ndarray:
    """The numbers in C order; bfloat16, which numpy lacks, as the float32 that they are."""
    try:
        tensor = tensor.detach().contiguous()
        array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    except (TypeError, RuntimeError) as error:  # sparse, quantised, without data, of 8 bits
        raise UserError(f"{where} is no plain array: {reason_of(error)}") from error
    if array.dtype.kind not in "fiub":
        raise UserError(f"{where} holds {array.dtype}; a network's tensors are decimal or whole numbers")
    return array


def reason_of(error: Exception) -> str:
    """What PyTorch says, in one line, without its advice to open the file all the same."""
    wanted = re.search(r"Unsupported global: GLOBAL ([\w.]+)", str(error))
    if wanted:
        return f"it needs {wanted[1]}, which is no tensor and could be any program"
    line = next(iter(str(error).strip().splitlines()), "").split("In PyTorch 2.6", 1)[0].strip()
    if line.startswith("Weights only load failed"):
        return "its pickle holds more than tensors, or is none"
    return "".join(filter(str.isprintable, line))[:200] or type(error).__name__


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="CHECKPOINT")
    parser.add_argument("target", type=Path, metavar="FILE.safetensors")
    for word, (name, _) in WORDS.items():
        parser.add_argument(f"--{word}", default="", help=f"a fact for the header: {name}")
    options = parser.parse_args()
    facts = {word: getattr(options, word) for word in WORDS if getattr(options, word)}
    warnings.simplefilter("ignore")  # PyTorch's, of what is refused in a sentence
    try:
        count = convert(options.source, options.target, facts)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{count:,} tensors of {options.source} are in {options.target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
