"""Methods: how images become a loss, and how images become predictions. One paper, one file; they know no data set.

A new method is a file with its settings and `build`, and a line here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from skinjax.methods import classifier, decoder_classifier, patches
from skinjax.methods.base import Method, MethodSettings
from skinjax.methods.parts import Parts


class Kind(NamedTuple):
    """A method's settings, and the function (parts, settings) that builds it."""

    settings: type[MethodSettings]
    build: Callable[[Parts, Any], Method]


METHODS: dict[str, Kind] = {
    "classifier": Kind(MethodSettings, classifier.build),
    "decoder_classifier": Kind(decoder_classifier.DecoderClassifierSettings, decoder_classifier.build),
    "patches": Kind(patches.PatchesSettings, patches.build),
}


def method_settings() -> dict[str, type[MethodSettings]]:
    """The settings of every method by its name."""
    return {name: kind.settings for name, kind in METHODS.items()}


def build_method(parts: Parts, settings: MethodSettings) -> Method:
    """The method that `settings` name."""
    return METHODS[settings.name].build(parts, settings)
