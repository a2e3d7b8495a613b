"""The embedded synthetic set as a TFDS builder: drawn once, then read like any other data set."""

import sys
from collections.abc import Iterator

from tqdm import tqdm

from skinjax.data.acquire.builders.base import PhotographBuilder
from skinjax.data.synthetic.plan import plan
from skinjax.data.synthetic.settings import Settings, class_names
from skinjax.data.synthetic.workers import encoded_photographs


def synthetic_builder(settings: Settings, data_dir: str) -> PhotographBuilder:
    """The builder of procedurally drawn photographs; a test bench, not medicine."""

    def drawn() -> Iterator[tuple[int, bytes]]:
        images, hidden = encoded_photographs(settings), not sys.stderr.isatty()
        return enumerate(tqdm(images, total=settings.images, unit="images", disable=hidden, leave=False))

    return PhotographBuilder(class_names(settings.classes), plan(settings)[0], drawn, data_dir)
