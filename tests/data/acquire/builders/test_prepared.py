"""Every data set of the catalogue, prepared from its fabricated source and read back."""

from collections import Counter

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.data.acquire.catalogue import CATALOGUE
from skinjax.data.acquire.prepare import READERS, prepare
from skinjax.data.acquire.sources import open_source
from skinjax.data.dataset import read_manifest

from . import fabricated
from .fabricated import ham10000, write

SOURCES = {name: getattr(fabricated, name) for name in CATALOGUE if name != "derm7pt_diagnoses"}
SOURCES["derm7pt_diagnoses"] = fabricated.derm7pt


@pytest.mark.parametrize("name", CATALOGUE)
def test_what_is_read_is_what_was_listed(name, tmp_path):
    source = write(tmp_path / "source", SOURCES[name]())
    dataset = prepare(name, source, tmp_path / "data")
    with open_source(source) as opened:
        listing = READERS[name](opened)
        assert dataset.classes == listing.classes
        assert [dataset.encoded(row) for row in range(len(dataset))] == [image.read() for image in listing.photographs]
    assert dataset.columns.keys() == listing.columns.keys()
    for column, values in listing.columns.items():
        np.testing.assert_array_equal(dataset.columns[column], values)
    manifest = read_manifest(tmp_path / "data" / dataset.name)
    assert (manifest["title"], manifest["licence"]) == (CATALOGUE[name].title, CATALOGUE[name].licence)
    assert sum(manifest["images_per_class"].values()) == (dataset.columns["label"] >= 0).sum()
    assert manifest["notes"] == list(listing.notes)
    assert manifest.get("images_per_part", {}) == Counter(listing.columns.get("split", np.array([])).tolist())


def test_half_a_download_is_told_before_anything_is_decoded(tmp_path):
    files = {path: data for path, data in ham10000().items() if "part_2" not in path}
    source = write(tmp_path / "source", files)
    with pytest.raises(UserError) as raised:
        prepare("ham10000", source, tmp_path / "data")
    assert str(raised.value) == (
        f"2 of 5 photographs, like ISIC_0000004.jpg, are not in {source}: {CATALOGUE['ham10000'].download}, or "
        "leave out with --skip_bad what is not there"
    )
    assert not (tmp_path / "data").exists()
    (source / "HAM10000_images_part_1.zip").unlink()
    with pytest.raises(UserError, match=r"^none of 5 photographs, such as ISIC_0000001.jpg, is in .*source: download"):
        prepare("ham10000", source, tmp_path / "data")


def test_rows_without_photographs_may_be_left_out(tmp_path):
    files = {path: data for path, data in ham10000().items() if "part_2" not in path}
    source = write(tmp_path / "source", files)
    assert prepare("ham10000", source, tmp_path / "data", skip_bad=True).columns["image_id"].tolist() == [
        "ISIC_0000001",
        "ISIC_0000002",
        "ISIC_0000003",
    ]


def test_metadata_columns_may_have_any_name(tmp_path):
    table = "image,label,file,allow_pickle,p_nv,été\na,nv,f,1,2,3\nmel/c,mel,g,2,3,4\n"
    source = write(tmp_path / "source", {**fabricated.folder(), "labels.csv": table.encode()})
    columns = prepare("csv", source, tmp_path / "data").columns
    assert columns["file"].tolist() == ["f", "g"]
    assert columns["allow_pickle"].tolist() == ["1", "2"]
    assert columns["été"].tolist() == ["3", "4"]


def test_every_data_set_of_the_catalogue_has_a_reader_of_its_own():
    assert READERS.keys() == CATALOGUE.keys()
    assert len(set(READERS.values())) == len(READERS)


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_catalogue_says_what_a_person_needs(name):
    about = CATALOGUE[name]
    assert bool(about.citation) == bool(about.homepage) == (name not in ("folder", "csv"))
