"""What an image of each class weighs in training by every strategy of configs/balancing.py, on HAM10000's counts."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.data.dataset import class_counts
from skinjax.objectives.losses import ClassificationLoss
from skinjax.recipe.config_files import load_config
from skinjax.runs import building

CLASSES = ("mel", "nv", "bcc", "akiec", "bkl", "df", "vasc")
# Photographs of HAM10000 by class and by how the diagnosis was made.
HAM = {
    ("mel", "histo"): 1113,
    ("nv", "consensus"): 503,
    ("nv", "follow_up"): 3704,
    ("nv", "histo"): 2498,
    ("bcc", "histo"): 514,
    ("akiec", "histo"): 327,
    ("bkl", "consensus"): 264,
    ("bkl", "confocal"): 69,
    ("bkl", "histo"): 766,
    ("df", "consensus"): 60,
    ("df", "histo"): 55,
    ("vasc", "consensus"): 75,
    ("vasc", "histo"): 67,
}
NEVUS = CLASSES.index("nv")
EQUAL = np.ones(7)
INVERSE = np.array([6.02, 1, 13.04, 20.50, 6.10, 58.30, 47.22])  # 6705 / N_i
# The mean factor of each class's diagnoses, from 1 (consensus) to 4 (histopathology), over that of nevi, 2.67.
ALL_FACTORS = np.array([1.497, 1, 1.497, 1.497, 1.204, 0.912, 0.905])
FACTORS_OF_NEVI = np.array([0.374, 1, 0.374, 0.374, 0.374, 0.374, 0.374])


@pytest.fixture(scope="module")
def data() -> SimpleNamespace:
    """HAM10000 without its pictures, all of it in training."""
    counts = np.fromiter(HAM.values(), int)
    names, kinds = zip(*HAM, strict=True)
    columns = {
        "image_id": np.array([f"ISIC_{number:07d}" for number in range(counts.sum())]),
        "label": np.repeat([CLASSES.index(name) for name in names], counts).astype(np.int32),
        "dx_type": np.repeat(kinds, counts),
    }
    return SimpleNamespace(
        dataset=SimpleNamespace(name="ham10000", classes=CLASSES, columns=columns),
        records={"train": np.arange(counts.sum())},
        others={},
        training_counts=lambda: class_counts(columns["label"], CLASSES),
    )


def pulls(loss: ClassificationLoss, labels: np.ndarray, weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """How strongly each image of the batches `labels` [batches, batch] pulls at the logit of its class: the same shape.

    The gradient of a batch's loss at logits that are all equal, which a class's weight scales.
    """

    def of_batch(labels, weights):
        targets = jax.nn.one_hot(labels, len(counts))

        def value(logits):
            total, count = loss(logits, targets, loss.weights(counts), weights, counts)
            return total / count

        return -jnp.sum(targets * jax.grad(value)(jnp.zeros(targets.shape)), axis=-1)

    return np.asarray(jax.jit(jax.vmap(of_batch))(labels, weights))


def effective_weights(variant: str, data: SimpleNamespace, phase: int = 0, epochs: int = 40) -> list[float]:
    """The weight of an image of each class relative to a nevus's, from the batches that the variant draws."""
    config = load_config(f"configs/balancing.py:{variant}", [])
    made = building.make_phases(config, data)[phase]
    drawn = np.stack([made.sampler(step) for step in range(epochs * made.sampler.epoch_length // config.batch)])
    weights = building.example_weights(config, data, made.name)
    weights = np.ones(len(data.records["train"])) if weights is None else weights
    labels, counts = data.dataset.columns["label"], data.training_counts().astype(np.float32)
    loss = made.objective.loss_function or config.loss.classification_loss()
    pulled = pulls(loss, labels[drawn], weights[drawn].astype(np.float32), counts)
    of_image = np.bincount(labels[drawn].ravel(), pulled.ravel()) / counts
    return of_image / of_image[NEVUS]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("none", EQUAL),
        ("oversampling", INVERSE),
        ("balanced_batches", INVERSE),
        ("loss_weighting", [5.9, 1, 12.1, 18.2, 5.9, 42.7, 36.4]),  # the batch's mean takes part of 6705 / N_i back
        ("loss_weighting_batch_mean", INVERSE),
        ("diagnosis_weighting", INVERSE * FACTORS_OF_NEVI),
        ("diagnosis_weighting_as_released", INVERSE * ALL_FACTORS),  # with all in training none is mistaken for another
        ("class_balanced", [1.47, 1, 2.42, 3.43, 1.48, 8.0, 6.8]),
        ("balanced_softmax", (1 - 1 / (1.4937 * INVERSE)) / (1 - 1 / 1.4937)),  # 1 - N_i / N: what is not predicted yet
        ("logit_adjusted", (1 - 1 / (1.4937 * INVERSE)) / (1 - 1 / 1.4937)),
        ("logit_adjusted_post_hoc", EQUAL),
        ("ldam_drw", EQUAL),
    ],
)
def test_what_an_image_of_each_class_weighs(strategy, expected, data):
    found = effective_weights(f"ham10000_densenet121_{strategy}", data)
    np.testing.assert_allclose(found, expected, rtol=0.015)


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [
        (0.5, [2.40, 1, 3.48, 4.30, 2.42, 6.95, 6.32]),
        (0.75, [3.74, 1, 6.48, 8.85, 3.77, 17.51, 15.35]),
        (1.25, [9.13, 1, 22.64, 37.35, 9.27, 100.4, 84.3]),
        (1.5, [14.3, 1, 42.4, 76.4, 14.6, 228.5, 190.2]),
    ],
)
def test_an_exponent_softens_or_sharpens_the_weights(exponent, expected, data):
    """Table VI: (N / N_i)^k in batches of 40, integrated over all of them."""
    found = effective_weights(f"ham10000_densenet121_k_{exponent}", data)
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_deferred_weights_are_those_of_the_effective_number(data):
    """In the second phase of `ldam_drw`: 1 / (1 - 0.9999^N_i), less what the batch's mean takes back."""
    found = effective_weights("ham10000_densenet121_ldam_drw", data, phase=1)
    np.testing.assert_allclose(found, [4.51, 1, 9.11, 13.63, 4.56, 32.1, 27.3], rtol=0.015)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (5, [3.8, 5.6, 6.7, 3.8, 8.8, 8.5]),
        (20, [5.6, 11.0, 16.1, 5.7, 32.4, 28.9]),
        (40, [5.9, 12.1, 18.5, 5.9, 44.3, 38.0]),
        (80, [6.0, 12.7, 19.7, 6.0, 51.7, 42.9]),
    ],
)
def test_the_mean_over_weights_undoes_them_in_small_batches(batch, expected):
    """papers.md, 1.3: inverse frequencies of paper 003's fold 0, relative to nevi, by the reduction of PyTorch.

    The printed figures are a simulation's: the integral over all batches gives 15.9 where it has 16.1, 37.6 for 38.0.
    """
    inverse = np.array([9.01, 1.49, 19.50, 31.01, 9.09, 90.78, 73.43])
    frequency = 1 / inverse / np.sum(1 / inverse)
    labels = np.random.default_rng(0).choice(7, (4_000_000 // batch, batch), p=frequency)
    pulled = pulls(ClassificationLoss(class_weights="inverse"), labels, np.ones(labels.shape), np.float32(frequency))
    relative = np.bincount(labels.ravel(), pulled.ravel()) / np.bincount(labels.ravel())
    found = np.delete(relative / relative[NEVUS], NEVUS)
    np.testing.assert_allclose(found, expected, atol=0.05, rtol=0.012)
