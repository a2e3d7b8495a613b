"""The readers on real archives and tables: the counts of papers.md, without decoding a photograph."""

import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

from skinjax.core.tables import read_table_file
from skinjax.data.acquire.builders.base import Listing, Missing
from skinjax.data.acquire.builders.cifar10 import CLASSES, read_cifar10
from skinjax.data.acquire.builders.derm7pt import read_derm7pt, read_derm7pt_diagnoses
from skinjax.data.acquire.builders.ham10000 import read_ham10000
from skinjax.data.acquire.builders.isic import read_isic2016
from skinjax.data.acquire.sources import open_source

HAM10000 = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
DX_TYPES = {"histo": 5340, "follow_up": 3704, "consensus": 902, "confocal": 69}
DERM7PT = {"bcc": 42, "bkl": 69, "df": 20, "mel": 252, "nv": 575, "vasc": 29}


def counts(listing: Listing) -> dict[str, int]:
    """Photographs per class."""
    return dict(zip(listing.classes, np.bincount(listing.columns["label"]).tolist(), strict=True))


def test_ham10000(shared: Path):
    with open_source(shared / "data" / "ham10000") as source:
        listing = read_ham10000(source)
    columns = listing.columns
    assert counts(listing) == HAM10000
    assert Counter(columns["dx_type"].tolist()) == DX_TYPES
    assert len(listing.photographs) == len(columns["image_id"]) == 10015
    assert not any(isinstance(photograph, Missing) for photograph in listing.photographs)
    assert columns["image_id"].tolist() == sorted(columns["image_id"].tolist())
    assert len(np.unique(columns["group"])) == 7470
    # No lesion has two diagnoses, so lesions can be dealt out by class.
    assert len(np.unique(np.stack([columns["group"], columns["label"].astype(str)]), axis=1).T) == 7470
    assert listing.notes == ()


def test_derm7pt(shared: Path, tmp_path: Path):
    """The real table beside fabricated photographs."""
    shutil.copy(shared / "data" / "derm7pt" / "meta.csv", tmp_path)
    paths = [row.cells["derm"] for row in read_table_file(tmp_path / "meta.csv").rows]
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in paths:
            archive.writestr(f"images/{path.lower()}", path)
    with open_source(tmp_path) as source:
        six, diagnoses = read_derm7pt(source), read_derm7pt_diagnoses(source)
        assert [photograph.read().decode() for photograph in diagnoses.photographs] == paths
    assert counts(six) == DERM7PT
    assert len(six.photographs) == 987
    assert six.notes[1] == "24 cases are in none of the classes and left aside: melanosis, miscellaneous"
    assert (len(diagnoses.classes), len(diagnoses.photographs)) == (20, 1011)


def test_isic2016(shared: Path, tmp_path: Path):
    """The real labels of the test part beside two fabricated ones to train on."""
    shutil.copy(shared / "data" / "isic2016" / "ISBI2016_ISIC_Part3_Test_GroundTruth.csv", tmp_path)
    training = "ISIC_9999998,benign\nISIC_9999999,malignant\n"
    (tmp_path / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv").write_text(training)
    with open_source(tmp_path) as source:
        listing = read_isic2016(source)
    tested = listing.columns["label"][listing.columns["split"] == "test"]
    assert np.bincount(tested).tolist() == [304, 75]


def test_cifar10(shared: Path):
    with open_source(shared / "data" / "cifar10") as source:
        listing = read_cifar10(source)
    assert counts(listing) == dict.fromkeys(CLASSES, 6000)
    assert Counter(listing.columns["split"].tolist()) == {"train": 50000, "test": 10000}
