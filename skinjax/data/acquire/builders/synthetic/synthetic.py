"""The embedded synthetic set as a TFDS builder: drawn once, then read like any other data set."""

from collections.abc import Iterator

from skinjax.core.threads import map_in_order
from skinjax.data.acquire.builders.base import PhotographBuilder
from skinjax.data.synthetic.photographs import Painter, encode
from skinjax.data.synthetic.settings import Settings, class_names


class Synthetic(PhotographBuilder):
    """Procedurally drawn photographs; a test bench, not medicine."""

    def __init__(self, settings: Settings, data_dir: str):
        painter = Painter(settings)

        def drawn() -> Iterator[tuple[int, bytes]]:
            return enumerate(map_in_order(lambda row: encode(painter.draw(row)), range(settings.images)))

        super().__init__(class_names(settings.classes), painter.columns, drawn, data_dir)
