"""Methods: how images become a loss, and how images become predictions. One paper, one file."""

from skinjax.methods.classifier import Classifier
from skinjax.methods.decoder_classifier import DecoderClassifier

METHODS = {"classifier": Classifier, "decoder_classifier": DecoderClassifier}
