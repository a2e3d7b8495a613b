"""The embedded synthetic set as a TFDS builder: drawn once, then read like any other data set."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from skinjax.data.builders.base import PhotographBuilder
from skinjax.data.synthetic import Painter, Settings, class_names, encode


class Synthetic(PhotographBuilder):
    """Procedurally drawn photographs; a test bench, not medicine."""

    def __init__(self, settings: Settings, data_dir: str):
        self.painter = Painter(settings)
        self.classes = class_names(settings.classes)
        self.columns = self.painter.columns
        super().__init__(data_dir)

    def encoded_images(self) -> Iterator[bytes]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from pool.map(lambda row: encode(self.painter.draw(row)), range(len(self.columns["image_id"])))
