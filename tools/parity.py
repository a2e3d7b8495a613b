"""Is every backbone the network that the field knows under its name? Measured against stored outputs of that network.

    python tools/parity.py [NAME ...]      compares, prints and, for all of them, writes docs/parity.md

No weights are stored: both sides fill themselves with numbers computed from each tensor's name (`tensor`), and
tests/models/goldens/ holds only what the reference answers (make_parity_goldens.py): logits and pooled features in
evaluation mode, logits and BatchNorm statistics of a forward pass in training mode with nothing dropped, and the
gradient's norm in every stage. The error is max|a - b| / max|b|, in float32 against the reference in float64.
"""

import argparse
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util

from skinjax.models import make_backbone
from skinjax.models.layers import compiler_options
from skinjax.models.pretrained.mapping import file_shape, fill, timm_names

GOLDENS = Path(__file__).parent.parent / "tests" / "models" / "goldens"
DOCS = Path(__file__).parent.parent / "docs" / "parity.md"
CLASSES = 10
INTRODUCTION = """# Every backbone against its reference

`make parity` fills each network and its reference (timm's, in float64; the U-Net's is ours in PyTorch) with the same
numbers and compares what they answer: logits and pooled features in evaluation mode; in training mode, with nothing
dropped, logits, BatchNorm statistics after one pass where there are any, and the gradient's norm in every stage. The
error is max|a - b| / max|b|, in float32.

"""
SAMPLED = 8  # channels of every BatchNorm whose statistics are stored
EVALUATION = {"logits": 1e-4, "pooled": 1e-4}
TRAINING = {"train_logits": 1e-3, "running_means": 1e-3, "running_variances": 1e-3, "gradient_norms": 1e-3}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Jitted in little time, to run once."""
    return jax.jit(function, compiler_options=compiler_options() | {"xla_backend_optimization_level": 0})


def tensor(name: str, shape: tuple[int, ...], gain: float = 1.0, bias: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """The float32 tensor `name` of every network: kernels scaled by `gain`, biases of mean and deviation `bias`."""
    draws = np.random.RandomState(zlib.crc32(name.encode())).bytes(2 * int(np.prod(shape)))
    noise = np.frombuffer(draws, np.uint16).reshape(shape).astype(np.float32) / np.float32(32767.5) - 1
    noise *= np.float32(3**0.5)  # mean 0, deviation 1
    if name.endswith("running_var"):
        return 1 + noise / 4
    if name.endswith("running_mean"):
        return noise / 10
    if len(shape) > 1:
        return noise * np.float32(gain / np.prod(shape[1:]) ** 0.5)
    if name.endswith("bias"):
        return np.float32(bias[0]) + noise * np.float32(bias[1])
    return np.float32(0.5) + noise / 10


# In evaluation mode the gain of a network decides whether what an early layer computes still shows in the logits. In
# training mode BatchNorm undoes it, and large biases keep most units on one side of their ReLU, without which the
# gradients of deep networks are chaotic in any precision.
EVALUATION_BIAS, TRAINING_BIAS = (0.0, 0.3), (0.0, 1.0)


def training_bias(name: str) -> tuple[float, float]:
    """Where a depthwise convolution reads a ReLU, a channel all but dead has next to no variance, by which BatchNorm
    divides: there biases are around one and every channel is alive.
    """
    return (1.0, 0.3) if name.startswith("mobilenet") else TRAINING_BIAS


def images(batch: int, size: int) -> np.ndarray:
    """Normalised images [batch, size, size, 3], alike nowhere: each of its own colour and slope, with noise on top."""
    noise = tensor("images", (batch, size, size, 3), gain=(size * size * 3) ** 0.5)
    colour, down, right = tensor("colours", (3, batch, 1, 1, 3), gain=(batch * 3) ** 0.5)
    slope = np.linspace(-1, 1, size, dtype=np.float32)
    return noise / 2 + colour + down * slope[:, None, None] + right * slope[:, None]


def network(name: str, size: int, gain: float = 1.0, bias: tuple[float, float] = (0.0, 0.0)):
    """(backbone, head, variables filled by name) of a registered backbone with nothing dropped."""
    backbone = make_backbone(name)
    head = without_dropping(backbone.original_head(CLASSES))
    backbone = without_dropping(backbone)

    def shapes(x):
        maps, variables = backbone.init_with_output(jax.random.key(0), x, train=False)
        return {"backbone": variables, "head": head.init(jax.random.key(0), maps["features"])}

    modules = jax.eval_shape(shapes, jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32))
    variables = {}
    for module, collections in modules.items():
        for collection in ("params", "batch_stats"):
            variables.setdefault(collection, {})[module] = collections.get(collection, {})
    return (
        backbone,
        head,
        fill(variables, Formula(variables, type(backbone), gain, bias), type(backbone), "the formula"),
    )


class Formula(dict):
    """The formula's tensors in the layout of a file, by the names that a network asks for."""

    def __init__(self, variables, family: type, gain: float, bias: tuple[float, float]):
        shapes = traverse_util.flatten_dict(variables)
        for path, name in timm_names(variables, family).items():
            self[name] = tensor(name, file_shape(path, shapes[path].shape), gain, bias)


def without_dropping(module: nn.Module) -> nn.Module:
    """The module with the rates of dropout and stochastic depth at zero."""
    rates = {rate: 0.0 for rate in ("dropout", "drop_path") if hasattr(module, rate)}
    return module.clone(**rates)


def evaluation_outputs(name: str, size: int, gain: float) -> dict[str, np.ndarray]:
    """Logits [2, classes] and pooled features [2, features] in evaluation mode."""
    backbone, head, variables = network(name, size, gain, EVALUATION_BIAS)

    @compiled
    def forward(variables, x):
        maps = backbone.apply(_of(variables, "backbone"), x, train=False)
        logits, sown = head.apply(_of(variables, "head"), maps["features"], train=False, mutable=["intermediates"])
        return {"logits": logits, "pooled": sown["intermediates"]["pooled"][0]}

    return jax.device_get(forward(variables, images(2, size)))


def training_outputs(name: str, size: int, gain: float) -> dict[str, np.ndarray]:
    """Logits [4, classes], sampled BatchNorm statistics after one pass, and the gradient's norm in stages and head."""
    backbone, head, variables = network(name, size, gain, training_bias(name))

    def loss(params, stats, x):
        variables = {"params": params, "batch_stats": stats}
        maps, of_backbone = backbone.apply(_of(variables, "backbone"), x, train=True, mutable=["batch_stats"])
        logits, of_head = head.apply(_of(variables, "head"), maps["features"], train=True, mutable=["batch_stats"])
        stats = {"backbone": of_backbone.get("batch_stats", {}), "head": of_head.get("batch_stats", {})}
        return (logits * coefficients(logits.shape)).sum(), (logits, stats)

    @compiled
    def step(params, stats, x):
        gradient, (logits, stats) = jax.grad(loss, has_aux=True)(params, stats, x)
        by_stage = {name: gradient["backbone"][name] for name in backbone.stages} | {"head": gradient["head"]}
        norms = [_norm(by_stage[name]) for name in (*backbone.stages, "head")]
        return logits, stats, jnp.stack(norms)

    logits, stats, norms = jax.device_get(step(variables["params"], variables["batch_stats"], images(4, size)))
    stats = {"batch_stats": stats}
    names = timm_names(stats, type(backbone))
    values = {names[path]: value for path, value in traverse_util.flatten_dict(stats).items()}
    return {"train_logits": logits, "gradient_norms": norms, **sampled_statistics(values)}


def sampled_statistics(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A few channels of every running mean and variance, in the order of their names."""
    sampled = {}
    for key, ending in (("running_means", "running_mean"), ("running_variances", "running_var")):
        chosen = [values[name] for name in sorted(values) if name.endswith(ending)]
        sampled[key] = np.concatenate([x[:: max(1, len(x) // SAMPLED)][:SAMPLED] for x in chosen] or [np.zeros(0)])
    return sampled


def coefficients(shape: tuple[int, ...]) -> np.ndarray:
    """The weights of the logits in the scalar whose gradient is compared."""
    return tensor("coefficients", shape, gain=shape[1] ** 0.5)


def error(ours: np.ndarray, golden: np.ndarray) -> float:
    """max|a - b| / max|b|."""
    if ours.shape != golden.shape:
        raise ValueError(f"our shape {ours.shape} is not the reference's {golden.shape}")
    return float(np.abs(ours - golden).max() / np.abs(golden).max()) if golden.size else 0.0


def errors(name: str, measure: Callable[[str, int, float], dict[str, np.ndarray]]) -> dict[str, float]:
    """The error of every output of `measure` against what is stored."""
    golden = np.load(GOLDENS / f"{name}.npz")
    outputs = measure(name, int(golden["size"]), float(golden["gain"]))
    return {key: error(value, golden[key]) for key, value in outputs.items()}


def _of(variables, module: str):
    return {collection: trees[module] for collection, trees in variables.items()}


def _norm(tree) -> jax.Array:
    return jnp.sqrt(sum(jnp.vdot(x, x) for x in jax.tree.leaves(tree)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    chosen = parser.parse_args().names
    stored = sorted(path.stem for path in GOLDENS.glob("*.npz"))
    rows, failed = [], []
    for name in chosen or stored:
        found = errors(name, evaluation_outputs) | errors(name, training_outputs)
        failed += [f"{name}: {key}" for key, value in found.items() if not value <= {**EVALUATION, **TRAINING}[key]]
        golden = np.load(GOLDENS / f"{name}.npz")
        rows.append([name, *(f"{found[key]:.0e}" if golden[key].size else "none" for key in (*EVALUATION, *TRAINING))])
        print(*rows[-1], flush=True)
    if not chosen:
        heading = ["backbone", *(f"{key} (≤ {limit:.0e})" for key, limit in (EVALUATION | TRAINING).items())]
        table = ["| " + " | ".join(row) + " |" for row in (heading, ["---"] * len(heading), *rows)]
        DOCS.write_text(INTRODUCTION + "\n".join(table) + "\n")
    if failed:
        raise SystemExit(f"beyond the limit: {', '.join(failed)}")


if __name__ == "__main__":
    main()
