"""Tables of predictions for tests."""

import numpy as np

from skinjax.evaluation.predictions import Predictions

CLASSES = ("mel", "nv", "df")


def make_table(labels, probabilities, groups=None, classes=CLASSES, stem="i", **others) -> Predictions:
    """A table of images i000, i001, ..., each of its own group unless these are given."""
    ids = [f"{stem}{number:03d}" for number in range(len(labels))]
    return Predictions(ids, groups or ids, labels, ["test"] * len(ids), probabilities, classes, **others)


def random_table(images=600, seed=0, sharpness=1.5, images_per_group=2) -> Predictions:
    """Three classes at 30, 60 and 10 %, calibrated where `sharpness` is 1; each seed has images of its own."""
    rng = np.random.default_rng(seed)
    prior = np.log([0.3, 0.6, 0.1])
    groups = np.arange(images) // images_per_group
    labels = rng.choice(3, groups.max() + 1, p=np.exp(prior))[groups]
    # Normal evidence for each class: the posterior is the softmax of prior + evidence.
    evidence = rng.normal(size=(images, 3)) + 1.5 * np.eye(3)[labels]
    logits = sharpness * (prior + 1.5 * evidence)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return make_table(labels, shares, [f"{seed}-g{group:03d}" for group in groups], stem=f"{seed}-")
