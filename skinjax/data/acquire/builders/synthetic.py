"""The embedded synthetic set as a TFDS builder: drawn once, then read like any other data set."""

from collections.abc import Iterator

from skinjax.core.threads import progress
from skinjax.data.acquire.builders.base import PhotographBuilder
from skinjax.data.synthetic.plan import plan
from skinjax.data.synthetic.settings import Settings, class_names
from skinjax.data.synthetic.workers import encoded_photographs


def synthetic_builder(settings: Settings, data_dir: str) -> PhotographBuilder:
    """The builder of procedurally drawn photographs; a test bench, not medicine."""

    def drawn() -> Iterator[tuple[int, bytes]]:
        return enumerate(progress(encoded_photographs(settings), settings.images))

    return PhotographBuilder(class_names(settings.classes), plan(settings)[0], drawn, data_dir)
