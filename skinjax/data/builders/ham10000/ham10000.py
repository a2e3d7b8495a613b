"""HAM10000: two archives of photographs and a metadata table, or the training files of ISIC 2018 task 3."""

from skinjax.data.builders.base import Listing, PhotographBuilder, listing_of_rows, one_table
from skinjax.data.builders.cells import known, one_of, read_age
from skinjax.data.catalogue import CATALOGUE
from skinjax.data.sources import File, Source
from skinjax.tables import Row, read_table

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
DX_TYPES = ("consensus", "follow_up", "confocal", "histo")
METADATA = r"HAM10000_metadata(\.csv|\.tab|\.tsv|\.txt)?"
METADATA_COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")


class Ham10000(PhotographBuilder):
    """Rows are sorted by image id, which is what the published splits count by."""

    @staticmethod
    def read(source: Source) -> Listing:
        from skinjax.data.builders.isic2018.isic2018 import GROUND_TRUTH, training_rows

        if not source.named(METADATA) and source.named(GROUND_TRUTH.format(part="Training")):
            rows, tables = training_rows(source)
        else:
            table = one_table(source, METADATA, "HAM10000_metadata", CATALOGUE["ham10000"].download)
            rows, tables = metadata_rows(table), [table]
        return listing_of_rows(CLASSES, rows, source, tables)


def metadata_rows(file: File) -> dict[str, dict]:
    """The rows of HAM10000_metadata by image id."""
    table = read_table(file.read(), file.path, METADATA_COLUMNS)
    return {image: _metadata_row(row) for image, row in table.unique("image_id").items()}


def _metadata_row(row: Row) -> dict:
    cells = row.cells
    return {
        "group": cells["lesion_id"],
        "class": one_of(row, "dx", CLASSES),
        "dx_type": one_of(row, "dx_type", DX_TYPES),
        "age": read_age(row, "age"),
        "sex": known(cells["sex"]),
        "site": known(cells["localization"]),
    }
