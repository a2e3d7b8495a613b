"""Losses as pure functions: a value per example, then a (sum, count) that the trainer divides once over the batch.

Targets are probabilities [batch, classes]: one-hot rows, mixtures, or all zero for an unlabelled image, which then
contributes to neither sum nor count. The loss of a mixture, be it mixup's or label smoothing's, is the mixture of the
losses that its classes have alone, each with its own class weight (paper 001).
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from skinjax.core.errors import lookup
from skinjax.core.settings import ABOVE_ZERO, BELOW_ONE, Settings, choice, number
from skinjax.objectives import class_weights as formulas
from skinjax.objectives.class_weights import CLASS_WEIGHTS

REDUCTIONS = {
    "torch_weighted_mean": "sum of weighted losses / sum of the weights in the batch",
    "batch_mean": "sum of weighted losses / number of labelled images",
    "sum": "sum of weighted losses",
}


@dataclasses.dataclass(frozen=True)
class ClassificationLoss(Settings):
    """A loss by name with its settings; called, it gives the (sum, count) of a batch.

    `torch_weighted_mean` is PyTorch's 'mean' with class weights. It divides by the weights of the batch at hand, which
    in small batches undoes most of the weighting (papers.md, 1.3); `batch_mean` does not. For soft targets, whose
    weight here is the mixture's, PyTorch's 'mean' is `batch_mean`.

    Class weights are those of the formula, each to the power of `weight_exponent`, times the factor of the class.
    """

    name: str = choice("cross_entropy", "loss", lambda: LOSSES)
    class_weights: str = choice("none", "class weight formula", CLASS_WEIGHTS)
    weight_exponent: float = number(1.0, 0, 10)  # k of paper 003: each class weight to this power
    effective_beta: float = number(0.999, ABOVE_ZERO, BELOW_ONE)  # of the formula `effective`
    class_factors: tuple[tuple[str, float], ...] = number((), 0, 1e6)  # by class, like (("nv", 0.5),); 1 for others
    gamma: float = number(2.0, 0, 1e3)  # of focal
    label_smoothing: float = number(0.0, 0, BELOW_ONE)
    tau: float = number(1.0, 0, 100)  # of logit_adjusted
    margin: float = number(0.5, 0, 100)  # of ldam: the rarest class's
    scale: float = number(30.0, 0, 1e4)  # of ldam: that of the logits of model.head cosine, which ldam needs
    reduction: str = choice("torch_weighted_mean", "loss reduction", REDUCTIONS)

    def check_counts(self, counts: Sequence[int] | np.ndarray, classes: Sequence[str]) -> None:
        """Refuse training counts [classes] that this loss cannot use, and factors of classes that there are not."""
        for name, _ in self.class_factors:
            lookup("class in loss.class_factors:", name, dict.fromkeys(classes))
        formulas.class_weights(self.class_weights, counts, classes)
        if self.name in NEED_COUNTS:
            formulas.check_every_class_has_images(counts, classes)

    def weights(self, counts: Array, classes: Sequence[str] = ()) -> Array:
        """The class weights [classes] for training counts [classes]; `classes` are named where some have factors."""
        if self.class_weights == "effective":
            weights = formulas.effective_number(counts, self.effective_beta) ** self.weight_exponent
        else:
            weights = CLASS_WEIGHTS[self.class_weights](counts) ** self.weight_exponent
        factors = dict(self.class_factors)
        return weights * jnp.array([factors.get(name, 1.0) for name in classes]) if factors else weights

    def __call__(
        self, logits: Array, targets: Array, class_weights: Array, example_weights: Array, counts: Array | None = None
    ) -> tuple[Array, Array | None]:
        """(sum, count) of `logits`, `targets` [batch, classes]; `example_weights` [batch] are 0 where masked.

        `counts` [classes] are the training images per class, which the losses of `NEED_COUNTS` need. The count that is
        returned is None where nothing is divided.
        """
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        labelled = targets.sum(axis=-1)
        if self.name in NEED_COUNTS and counts is None:
            raise ValueError(f"the loss {self.name} needs the training images per class")
        smooth = self.label_smoothing
        smoothed = (1 - smooth) * targets + smooth * labelled[:, None] / logits.shape[-1]
        values = jnp.sum(smoothed * class_weights * LOSSES[self.name](self, logits, counts), axis=-1)
        total = jnp.sum(jnp.where(example_weights > 0, example_weights * values, 0))
        # The count uses the targets before smoothing, as PyTorch does.
        if self.reduction == "sum":
            return total, None
        weight = jnp.sum(targets * class_weights, axis=-1)
        weighted = self.reduction == "torch_weighted_mean"
        count = example_weights * weight if weighted else (example_weights > 0) * labelled
        return total, jnp.sum(count).astype(total.dtype)


def cross_entropy(loss: ClassificationLoss, logits: Array, counts: Array | None) -> Array:
    """Softmax cross-entropy: -log p_c; paper 000's "BCE" (baseline) is this without class weights."""
    return -jax.nn.log_softmax(logits)


def focal(loss: ClassificationLoss, logits: Array, counts: Array | None) -> Array:
    """Softmax focal loss: -(1 - p_c)^gamma log p_c.

    The factor is exp(gamma log(1 - p)), finite with its gradient at saturated logits, where (1 - p)**gamma is not.
    """
    return -jnp.exp(loss.gamma * log_one_minus_softmax(logits)) * jax.nn.log_softmax(logits)


def bce_with_logits(loss: ClassificationLoss, logits: Array, counts: Array | None) -> Array:
    """One sigmoid per class, and the mean over them (paper 002)."""
    return jnp.mean(jax.nn.softplus(logits), axis=-1, keepdims=True) - logits / logits.shape[-1]


def balanced_softmax(loss: ClassificationLoss, logits: Array, counts: Array) -> Array:
    """Cross-entropy of logits + log n: they are those of a test set in which all classes are equally frequent."""
    return -jax.nn.log_softmax(logits + jnp.log(counts))


def logit_adjusted(loss: ClassificationLoss, logits: Array, counts: Array) -> Array:
    """Cross-entropy of logits + tau log(n / N); with tau = 1 the balanced softmax."""
    return -jax.nn.log_softmax(logits + loss.tau * jnp.log(counts / counts.sum()))


def ldam(loss: ClassificationLoss, logits: Array, counts: Array) -> Array:
    """Cross-entropy after the true class's logit is lowered by scale * margin (n_min / n_c)^(1/4).

    Label-distribution-aware margins: log(1 + e^margin (1 - p_c) / p_c), with the p of the logits as they are.
    """
    margins = loss.scale * loss.margin * (counts.min() / counts) ** 0.25
    return jax.nn.softplus(margins + log_one_minus_softmax(logits) - jax.nn.log_softmax(logits))


# From logits [batch, classes], and for those of `NEED_COUNTS` the training images per class: what each class would cost
# were it the label, [batch, classes].
LOSSES: dict[str, Callable[..., Array]] = {
    "cross_entropy": cross_entropy,
    "focal": focal,
    "bce_with_logits": bce_with_logits,
    "balanced_softmax": balanced_softmax,
    "logit_adjusted": logit_adjusted,
    "ldam": ldam,
}
NEED_COUNTS = ("balanced_softmax", "logit_adjusted", "ldam")


def log_one_minus_softmax(logits: Array) -> Array:
    """log(1 - softmax(logits)) [..., classes], finite for finite logits.

    For every class but the likeliest p <= 1/2, so log1p(-p) is exact; for that one, 1 - p is the sum over the others.
    """
    log_p = jax.nn.log_softmax(logits)
    top = jax.nn.one_hot(jnp.argmax(logits, axis=-1), logits.shape[-1], dtype=bool)
    rest = jax.nn.logsumexp(log_p, axis=-1, where=~top, keepdims=True)
    return jnp.where(top, rest, jnp.log1p(-jnp.where(top, 0, jnp.exp(log_p))))
