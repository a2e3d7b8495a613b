"""What explaining photographs costs, in forward-and-backward passes of the same batch.

    python tools/benchmark_explain.py [--backbone=resnet50] [--size=224] [--batch=64] [--rounds=3]

One pass is the loss of a batch and its gradient for all parameters, without an optimizer. It, Grad-CAM, guided
backpropagation and the whole explanation (the answers, both, and four maps of weights drawn anew) take turns in one run
on random pictures; what is printed are medians, and their ratios to the median pass. Nothing is compiled in a turn.
"""

import argparse
import dataclasses
import functools
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.settings import from_plain
from skinjax.explain import grad_cam, guided_backprop, randomised
from skinjax.explain.gradients import class_logits
from skinjax.model import Model, make_method
from skinjax.models.layers import compiler_options
from skinjax.recipe.recipe import ModelSpec

CLASSES = tuple("abcdefg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    model = drawn(options.backbone, options.size, options.batch)
    images = np.random.default_rng(0).integers(0, 256, (options.batch, options.size, options.size, 3), np.uint8)
    works = make_works(model, images, np.arange(options.batch, dtype=np.int32) % len(CLASSES))
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(options.rounds + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            seconds[name] += [time.perf_counter() - started] if turn else []  # the first turn compiles
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"{options.batch} images of {options.size} px, {options.backbone}, {jax.devices()[0].device_kind}")
    for name, median in medians.items():
        print(f"{name}: {median:.2f} s, {median / medians['forward and backward']:.2f} passes")


def drawn(backbone: str, size: int, batch: int) -> Model:
    """A classifier as it starts."""
    plain = {"stored_size": {"height": size, "width": size}, "views": {"size": (size, size)}, "batch": batch}
    spec = from_plain(ModelSpec, plain | {"model": {"backbone": backbone}}, "spec")
    method = make_method(spec, CLASSES)
    variables = jax.jit(method.init)(jax.random.key(0), {"image": jnp.zeros((1, size, size, 3), jnp.uint8)})
    constants = method.constants(np.ones(len(CLASSES)), np.full(len(CLASSES), 1 / len(CLASSES)))
    return Model(spec, CLASSES, {**variables, "constants": constants})


def make_works(model: Model, images: np.ndarray, classes: np.ndarray) -> dict[str, Callable[[], object]]:
    """What takes turns."""

    @functools.partial(jax.jit, compiler_options=compiler_options())
    def one_pass(params: dict, images: jax.Array, classes: jax.Array) -> tuple:
        def loss(params: dict) -> jax.Array:
            (logits,) = class_logits(model.method, {**model.variables, "params": params}, images)
            return -jnp.take_along_axis(jax.nn.log_softmax(logits), classes[:, None], axis=1).mean()

        return jax.value_and_grad(loss)(params)

    init = jax.jit(model.method.init)
    others = init(jax.random.key(1), {"image": images[:1]})
    anew = [
        dataclasses.replace(model, variables=randomised.replaced(model.variables, others, names))
        for names in randomised.steps(model.method).values()
    ]

    def everything() -> None:
        model.predict(images)
        guided_backprop.explain(model, images, classes)
        for one in (model, *anew):
            grad_cam.explain(one, images, classes)

    return {
        "forward and backward": lambda: jax.block_until_ready(one_pass(model.variables["params"], images, classes)),
        "Grad-CAM": lambda: grad_cam.explain(model, images, classes),
        "guided backpropagation": lambda: guided_backprop.explain(model, images, classes),
        "all, with four maps of weights drawn anew": everything,
    }


if __name__ == "__main__":
    main()
