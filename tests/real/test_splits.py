"""Two published splits of HAM10000 on its real metadata: by image 37-39 % of a test part leaks, by lesion nothing."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from convert_index_pickle import convert

from skinjax.core.errors import UserError
from skinjax.core.tables import read_table_file
from skinjax.data.splits.published import fold_split, read_published
from skinjax.data.splits.split import PARTS, Split, check, image_stratified, leaks

# papers.md, section 1.1: training, validation and test images, and test images whose lesion is in training.
BY_IMAGE = [
    (8010, 0, 2005, 749),
    (8010, 0, 2005, 749),
    (8012, 0, 2003, 757),
    (8013, 0, 2002, 783),
    (8015, 0, 2000, 780),
]
BY_LESION = [(4993, 2511, 2511), (4996, 2508, 2511), (5019, 2485, 2511)]
TESTED = {"nv": 1677, "mel": 280, "bkl": 275, "bcc": 129, "akiec": 84, "vasc": 36, "df": 30}


@pytest.fixture(scope="module")
def metadata(shared: Path) -> tuple[np.ndarray, ...]:
    """Image ids, lesions and diagnoses of all 10,015 images."""
    rows = read_table_file(shared / "data" / "ham10000" / "HAM10000_metadata.csv").rows
    return tuple(np.array([row.cells[column] for row in rows]) for column in ("image_id", "lesion_id", "dx"))


def sizes(split: Split) -> tuple[int, ...]:
    return tuple(len(split.rows(part)) for part in PARTS)


def test_each_image_level_fold_leaks_37_to_39_percent(shared, metadata):
    published = read_published(shared / "data" / "splits" / "ham10000_image_stratified_5fold.csv")
    assert published.parts.shape == (5, 10015)
    for fold, (*images, shared_images) in enumerate(BY_IMAGE):
        split = fold_split(published, fold, metadata)
        assert sizes(split) == tuple(images)
        leak = leaks(split)["test", "train"]
        assert leak.images == shared_images
        assert 37 <= 100 * leak.share < 39.5
        with pytest.raises(UserError, match="this file split leaks"):
            check(split)


def test_the_patch_attention_folds_share_no_lesion(shared, metadata):
    published = read_published(shared / "data" / "splits" / "ham10000_patch_attention.csv")
    for fold, images in enumerate(BY_LESION):
        split = fold_split(published, fold, metadata)
        assert sizes(split) == images
        assert all(leak.groups == () for leak in leaks(split).values())
        check(split)
        tested = np.unique(split.labels[split.rows("test")], return_counts=True)
        assert dict(zip(*tested, strict=True)) == TESTED


def test_the_patch_attention_split_as_a_pickle_of_positions_is_converted_to_the_same_file(shared, metadata):
    path = shared / "data" / "splits" / "ham10000_patch_attention.csv"
    published = read_published(path)
    position = {image_id: number for number, image_id in enumerate(sorted(metadata[0].tolist()))}
    positions = np.array([position[image_id] for image_id in published.image_ids.tolist()])
    lists = {
        "testInd": positions[published.parts[0] == PARTS.index("test")],
        "valIndCV": [positions[parts == PARTS.index("validation")] for parts in published.parts],
        "trainIndCV": [positions[parts == PARTS.index("train")].tolist() for parts in published.parts],
    }
    data = pickle.dumps(lists, protocol=2)
    assert convert(data, "indices.pkl", metadata[0].tolist()).splitlines() == path.read_text().splitlines()


def test_a_random_image_level_split_leaks_as_much(metadata):
    for seed in range(3):
        leak = leaks(image_stratified(*metadata, seed=seed, test=0.2))["test", "train"]
        assert leak.share == pytest.approx(0.39, abs=0.03)


@pytest.mark.parametrize(("seed", "percent"), [(0, 40.34), (1, 38.49)])
def test_a_fifth_by_image_of_paper_001_leaks(metadata, seed, percent):
    columns = (column.tolist() for column in metadata)
    split = image_stratified(*columns, seed=seed, test=0.0, validation=0.2, folds=1, fold=0)
    assert 100 * leaks(split)["validation", "train"].share == pytest.approx(percent, abs=0.005)
