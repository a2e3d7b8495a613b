"""VGG's head at every size of map, and its two dropouts."""

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.models.families.vgg import VGGHead
from skinjax.models.pooling import adaptive_average_pool

KEY = jax.random.key(0)

# timm 1.0.31's head of width 6 with the sines below, in float64, rounded.
TIMM = {
    (7, 7): ([-0.27249, -0.16246, 0.02398], [0.0284, 0, 0, 0, 0, 0.0771]),
    (2, 2): ([-0.28371, -0.17229, 0.02016], [0.0503, 0, 0, 0, 0, 0.0549]),
    (3, 9): ([-0.29365, -0.1807, 0.01723], [0.0681, 0, 0, 0, 0, 0.0339]),
    (8, 10): ([-0.29478, -0.18363, 0.01389], [0.081, 0, 0, 0, 0, 0.0402]),
}


@pytest.mark.parametrize("sides", TIMM)
def test_the_head_is_timms_on_maps_of_every_size(sides):
    shapes = {"hidden1": (7, 7, 2, 6), "hidden2": (1, 1, 6, 6), "classifier": (6, 3)}
    params = {}
    for number, (name, shape) in enumerate(shapes.items()):
        params[name] = {"kernel": sines(shape, 2 * number), "bias": sines(shape[-1:], 2 * number + 1)}
    x = jnp.asarray(np.cos(np.arange(np.prod(sides) * 2) * 0.9).reshape(1, *sides, 2), jnp.float32)
    logits, sown = VGGHead(3, width=6).apply({"params": params}, x, mutable=["intermediates"])
    np.testing.assert_allclose(logits[0], TIMM[sides][0], atol=2e-5)
    np.testing.assert_allclose(sown["intermediates"]["pooled"][0][0], TIMM[sides][1], atol=1e-4)


def sines(shape, shift):
    return jnp.asarray(0.3 * np.sin(np.arange(np.prod(shape)) * 0.7 + shift).reshape(shape), jnp.float32)


def test_adaptive_pooling_has_torchs_windows():
    x = jnp.arange(5.0)[None, :, None, None] + 100 * jnp.arange(3.0)[None, None, :, None]
    assert adaptive_average_pool(x, 3, 1)[0, :, 0, 0].tolist() == pytest.approx([100.5, 102, 103.5])
    assert adaptive_average_pool(x, 1, 7)[0, 0, :, 0].tolist() == pytest.approx([2, 2, 52, 102, 152, 202, 202])


def test_both_hidden_layers_lose_half_in_training():
    """Where every unit of both layers is one."""
    head = VGGHead(1, width=1000)
    x = jnp.zeros((1, 7, 7, 1))
    flat = flax.traverse_util.flatten_dict(jax.eval_shape(head.init, KEY, x)["params"])
    fills = {"hidden1/kernel": 0, "hidden1/bias": 1, "hidden2/kernel": 1e-3, "classifier/kernel": 1e-3}
    params = {path: jnp.full(flat[path].shape, fills.get("/".join(path), 0), jnp.float32) for path in flat}
    variables = {"params": flax.traverse_util.unflatten_dict(params)}
    run = jax.jit(
        lambda x, train: head.apply(variables, x, train=train, rngs={"dropout": KEY}, mutable=["intermediates"]),
        static_argnums=1,
    )
    logits, _ = run(x, False)
    assert logits.item() == pytest.approx(1, abs=1e-4)
    logits, sown = run(x, True)
    kept_of_first = sown["intermediates"]["pooled"][0][0, 0].item()
    kept_of_second = logits.item() / kept_of_first
    for kept in (kept_of_first, kept_of_second):
        assert kept != pytest.approx(1, abs=1e-4)
        assert kept == pytest.approx(1, abs=0.15)
