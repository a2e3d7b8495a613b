"""Measure what the synthetic set claims: speed, what thumbnails give away, what full size adds to a quarter of it.

Every figure comes from lesions that training never saw. A test bench, not medicine.
"""

import argparse
import time
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, recall_score
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skinjax.data.synthetic.photographs import Painter, encode
from skinjax.data.synthetic.settings import GENERATOR_VERSION, Settings, class_names

THUMBNAIL = 8
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=3600, help="balanced over the classes; a third is held out")
    parser.add_argument("--epochs", type=int, default=12, help="of the network, at either size")
    parser.add_argument("--height", type=int, default=168)
    parser.add_argument("--width", type=int, default=224)
    parser.add_argument("--seeds", type=int, default=1, help="how many data sets and networks to average over")
    arguments = parser.parse_args()
    started = time.perf_counter()
    print(f"generator {GENERATOR_VERSION}, {arguments}")
    measure_speed(Painter(Settings(images=400, height=arguments.height, width=arguments.width)))
    for seed in range(arguments.seeds):
        settings = Settings(arguments.images, arguments.height, arguments.width, imbalance=1.0, seed=seed)
        compare(settings, arguments.epochs)
    print(f"took {time.perf_counter() - started:.0f} s on {jax.devices()[0].platform}")


def measure_speed(painter: Painter) -> None:
    """Print processor time of drawing and encoding, on one thread."""
    rows = range(painter.settings.images)
    with threadpool_limits(1):
        painter.draw(0)
        started = time.process_time()
        size = sum(len(encode(painter.draw(row))) for row in rows)
        seconds = time.process_time() - started
    print(f"drawn and encoded: {len(rows) / seconds:.0f} images/s of one core, {size / len(rows) / 1e3:.1f} kB each")


def compare(settings: Settings, epochs: int) -> None:
    """Print macro recall on held-out lesions of the thumbnail probe and of one network at both sizes."""
    painter = Painter(settings)
    labels, groups = painter.columns["label"], painter.columns["group"]
    full = np.stack([painter.draw(row) for row in range(settings.images)])
    quarter = shrink(full, settings.height // 4, settings.width // 4)
    thumbnails = shrink(full, THUMBNAIL, THUMBNAIL)
    splits = GroupShuffleSplit(1, test_size=1 / 3, random_state=settings.seed)
    train, test = next(splits.split(labels, labels, groups))
    print(f"seed {settings.seed}: {len(train)} photographs to train on, {len(test)} of other lesions to judge")
    report("linear probe on 8x8", labels[test], probe(thumbnails, labels, train, test))
    for images in (quarter, full):
        size = "{1}x{0}".format(*images.shape[1:])
        started = time.perf_counter()
        predicted = train_network(images, labels, train, test, epochs, settings.seed)
        report(f"network at {size}", labels[test], predicted, f", {time.perf_counter() - started:.0f} s")


def report(name: str, labels: np.ndarray, predicted: np.ndarray, remark: str = "") -> None:
    """Print recall by class and the confusion matrix (rows: the truth)."""
    classes = class_names(int(labels.max()) + 1)
    recalls = recall_score(labels, predicted, average=None)
    each = "  ".join(f"{label} {100 * recall:.0f}" for label, recall in zip(classes, recalls, strict=True))
    print(f"{name}: macro recall {100 * recalls.mean():.1f} %   ({each}{remark})")
    print(confusion_matrix(labels, predicted), flush=True)


def shrink(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Antialiased: uint8 [images, height, width, 3]."""
    return np.stack([np.asarray(Image.fromarray(i).resize((width, height), Image.Resampling.BILINEAR)) for i in images])


def probe(images: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Labels that balanced logistic regression on pixels predicts for `test`."""
    flat = images.reshape(len(images), -1) / 255
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500, class_weight="balanced"))
    return model.fit(flat[train], labels[train]).predict(flat[test])


class Network(nn.Module):
    """Five convolutions of total stride 16, a global average, a linear classifier."""

    classes: int

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """uint8 [batch, height, width, 3] to logits [batch, classes]."""
        x = x.astype(jnp.float32) / 64 - 2
        for width, stride in ((12, 2), (24, 2), (32, 2), (48, 1), (64, 2)):
            x = nn.Conv(width, (3, 3), stride, use_bias=False)(x)
            x = nn.relu(nn.BatchNorm(not train, momentum=0.9)(x))
        return nn.Dense(self.classes)(x.mean((1, 2)))


def train_network(
    images: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray, epochs: int, seed: int
) -> np.ndarray:
    """Labels predicted for `test`, after Adam on flipped photographs of `train`."""
    network, rng = Network(int(labels.max()) + 1), np.random.default_rng(seed)
    variables = network.init(jax.random.key(seed), images[:1], train=False)
    steps = epochs * (len(train) // BATCH)
    optimizer = optax.adam(optax.warmup_cosine_decay_schedule(0.0, 4e-3, steps // 10, steps))
    state = optimizer.init(variables["params"])

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(variables, state, x, y):
        def loss(params):
            logits, new = network.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), new

        gradient, new = jax.grad(loss, has_aux=True)(variables["params"])
        updates, state = optimizer.update(gradient, state)
        return {"params": optax.apply_updates(variables["params"], updates), **new}, state

    predict = jax.jit(lambda variables, x: network.apply(variables, x, train=False).argmax(-1))
    for _ in range(epochs):
        order = rng.permutation(train)
        for batch in order[: len(order) // BATCH * BATCH].reshape(-1, BATCH):
            flip = images[batch][:, :: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
            variables, state = step(variables, state, flip, labels[batch])
    return np.concatenate([predict(variables, images[part]) for part in np.array_split(test, len(test) // BATCH)])


if __name__ == "__main__":
    main()
