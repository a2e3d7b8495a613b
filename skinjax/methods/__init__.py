"""Methods: how images become a loss, and how images become predictions. One paper, one file."""

from collections.abc import Callable

from skinjax.methods.base import Method
from skinjax.methods.classifier import Classifier
from skinjax.methods.decoder_classifier import DecoderClassifier
from skinjax.methods.patches import Patches

METHODS: dict[str, Callable[..., Method]] = {
    "classifier": Classifier,
    "decoder_classifier": DecoderClassifier,
    "patches": Patches,
}
