"""What every builder shares: encoded images passed through unchanged, in record order, with id, label and group."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow_datasets as tfds


class PhotographBuilder(tfds.core.GeneratorBasedBuilder):
    """A TFDS builder of one split, `images`, whose record i is row i of `columns`.

    Subclasses give `classes`, `columns` (at least image_id, label, group) and `encoded_images`.
    """

    VERSION = tfds.core.Version("1.0.0")
    classes: Sequence[str]
    columns: dict[str, np.ndarray]

    def __init__(self, data_dir: str):
        super().__init__(data_dir=data_dir, file_format="array_record")

    def encoded_images(self) -> Iterator[bytes]:
        """The bytes of each image file, in the order of the columns."""
        raise NotImplementedError

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "image_id": tfds.features.Text(),
                "label": tfds.features.ClassLabel(names=list(self.classes)),
                "group": tfds.features.Text(),
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        del dl_manager
        return {"images": self._generate_examples()}

    def _generate_examples(self):
        ids, labels, groups = (self.columns[name] for name in ("image_id", "label", "group"))
        for row, image in enumerate(self.encoded_images()):
            yield row, {"image": image, "image_id": ids[row], "label": int(labels[row]), "group": groups[row]}
