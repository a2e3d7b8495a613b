"""The embedded synthetic set as a TFDS builder: drawn once, then read like any other data set."""

from collections.abc import Iterator

from skinjax.data.builders.base import PhotographBuilder
from skinjax.data.synthetic import Painter, Settings, class_names, encode
from skinjax.data.threads import map_in_order


class Synthetic(PhotographBuilder):
    """Procedurally drawn photographs; a test bench, not medicine."""

    def __init__(self, settings: Settings, data_dir: str):
        painter = Painter(settings)

        def drawn() -> Iterator[tuple[int, bytes]]:
            return enumerate(map_in_order(lambda row: encode(painter.draw(row)), range(settings.images)))

        super().__init__(class_names(settings.classes), painter.columns, drawn, data_dir)
