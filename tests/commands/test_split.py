"""skinjax split: writes splits of prepared sets, and finds groups and photographs that are in two parts of one."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from skinjax.cli import main
from skinjax.commands.split import counts_table
from skinjax.data.acquire.prepare import prepare
from skinjax.data.dataset import read_dataset
from skinjax.data.splits.protocols import SplitSettings, split_dataset
from skinjax.data.splits.split import check, read_split
from skinjax.data.synthetic.photographs import Painter
from skinjax.data.synthetic.settings import Settings


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A data root with `clinic`: photographs i00 to i23 of lesions g00 (two) to g11, of which 8 are nv and 4 mel.

    `same` is the file of i00 and `again` the same photograph as a JPEG, each under a group of its own; `spare` has no
    label. The official parts test the last lesion of each class and train on the others and on the copies.
    """
    source = tmp_path_factory.mktemp("source")
    painter = Painter(Settings(images=25, height=96, width=128))
    rows = ["image,label,group,split"]
    for number in range(24):
        lesion = number // 2
        Image.fromarray(painter.draw(number)).save(source / f"i{number:02d}.png")
        label, part = "nv" if lesion < 8 else "mel", "test" if lesion in (7, 11) else "train"
        rows.append(f"i{number:02d},{label},g{lesion:02d},{part}")
    (source / "same.png").write_bytes((source / "i00.png").read_bytes())
    Image.open(source / "i00.png").save(source / "again.jpg", quality=80)
    Image.fromarray(painter.draw(24)).save(source / "spare.png")
    rows += ["same,nv,copy1,train", "again,nv,copy2,train", "spare,,spare,train"]
    (source / "labels.csv").write_text("\n".join(rows) + "\n")
    root = tmp_path_factory.mktemp("root")
    prepare("csv", source / "labels.csv", root, name="clinic")
    return root


@pytest.fixture
def split(root, tmp_path, monkeypatch, capsys):
    """split(*arguments) runs the command in an empty folder: exit status, output, errors."""
    monkeypatch.chdir(tmp_path)

    def split(*arguments: str) -> tuple[int, str, str]:
        status = main(["split", *arguments, f"--data_dir={root}"])
        output, errors = capsys.readouterr()
        return status, output, errors

    return split


def published(path: Path, test_fold_of: dict[str, int]) -> str:
    """Write the layout image_id,test_fold."""
    path.write_text("image_id,test_fold\n" + "".join(f"{name},{fold}\n" for name, fold in test_fold_of.items()))
    return str(path)


BY_LESION = {f"i{number:02d}": 1 + number // 2 % 2 for number in range(24)}
BY_IMAGE = {f"i{number:02d}": 1 + number % 2 for number in range(24)}


def test_a_split_is_counted_and_written(split, tmp_path):
    status, output, _ = split("clinic", "--protocol=official", "--validation=0")
    assert status == 0
    assert output.splitlines() == [
        "                    train              test",
        "  class   images   groups   images   groups",
        "  mel          6        3        2        1",
        "  nv          16        9        2        1",
        "  all         22       12        4        2",
        "unlabelled images, in no part of the split: 1",
        "written: clinic-official-seed0.csv and clinic-official-seed0.json",
    ]
    written = read_split(tmp_path / "clinic-official-seed0.csv")
    assert written.image_ids[written.rows("test")].tolist() == ["i14", "i15", "i22", "i23"]
    assert written.protocol["name"] == "official"
    assert written.protocol["dataset"] == "clinic"


def test_folds_test_in_turn_and_a_hold_out_has_validation_and_test(split, tmp_path):
    assert split("clinic")[0] == 0
    hold_out = read_split(tmp_path / "clinic-lesion_grouped-seed0.csv")
    check(hold_out)
    assert set(hold_out.parts) == {"train", "validation", "test"}
    assert split("clinic", "--folds=3", "--fold=1", "--seed=7", "--out=cv.csv")[0] == 0
    folds = read_split(tmp_path / "cv.csv")
    assert set(folds.parts[folds.folds == 1]) == {"test"}
    assert set(folds.parts[folds.folds != 1]) == {"train"}
    assert folds.protocol["seed"] == 7
    assert split("clinic", "--folds=2", "--test=0.3")[0] == 0
    assert (tmp_path / "clinic-lesion_grouped-fold0of2-seed0.csv").exists()


def test_the_same_split_is_written_again_and_another_is_not_written_over_it(split, tmp_path):
    assert split("clinic", "--out=mine.csv")[0] == 0
    before = (tmp_path / "mine.csv").read_bytes()
    assert split("clinic", "--out=mine.csv")[0] == 0
    status, _, errors = split("clinic", "--out=mine.csv", "--seed=1")
    assert status == 1
    assert errors == "error: mine.csv is there and holds something else: remove it, or give another --out\n"
    assert (tmp_path / "mine.csv").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.csv", "mine.json"]


def test_a_published_split_by_image_is_refused_until_its_leak_is_allowed(split, tmp_path):
    file = published(tmp_path / "theirs.csv", BY_IMAGE)
    request = ["clinic", "--protocol=file", f"--file={file}", "--fold=1", "--validation=0"]
    status, output, errors = split(*request)
    assert (status, output) == (1, "")
    assert "this file split leaks: 12 groups are in both test and train" in errors
    status, output, _ = split(*request, "--allow_leak")
    assert status == 0
    assert "images that the file split leaves out: 2" in output
    assert "LEAK: 100.0 % of the test images share a group with a training image" in output
    written = json.loads((tmp_path / "clinic-file-fold1-seed0.json").read_text())
    assert written["leak_percent"] == {"test": 100.0}


def test_a_published_validation_part_can_train(split, tmp_path):
    parts = ["train", "validation", "test", "train"]
    rows = [f"i{number:02d},{parts[number // 2 % 4]}" for number in range(24)]
    Path("theirs.csv").write_text("\n".join(["image_id,fold1", *rows]))
    request = ("clinic", "--protocol=file", "--file=theirs.csv", "--validation=0")
    assert split(*request, "--out=theirs_parts.csv")[0] == 0
    assert split(*request, "--published_validation=trained_on", "--out=joined.csv")[0] == 0
    before, after = read_split(tmp_path / "theirs_parts.csv"), read_split(tmp_path / "joined.csv")
    assert len(before.rows("validation")) == 6
    assert set(after.parts) == {"train", "test"}
    assert after.rows("test").tolist() == before.rows("test").tolist()


def test_a_check_by_groups_names_images_share_and_an_example_for_each_fold(split, tmp_path):
    status, output, _ = split("clinic", "--check", published(tmp_path / "theirs.csv", BY_IMAGE), "--no_pictures")
    assert status == 1
    lines = output.splitlines()
    assert lines[0].endswith("theirs.csv: 24 images, 2 folds; 3 images of clinic are not in it")
    assert lines[1:7] == [
        "fold 0",
        "                    train              test",
        "  class   images   groups   images   groups",
        "  mel          4        4        4        4",
        "  nv           8        8        8        8",
        "  all         12       12       12       12",
    ]
    assert lines[7] == "  LEAK: 12 of 12 test images (100.0 %) are of 12 groups that are in train too, such as g00"
    assert lines[8] == "fold 1"
    assert lines[-1] == "shared groups in 2 of 2 folds; photographs were not compared"


def test_a_check_of_a_split_by_lesion_finds_nothing(split, tmp_path):
    status, output, _ = split("clinic", "--check", published(tmp_path / "theirs.csv", BY_LESION))
    assert status == 0
    assert output.count("  no group is in two parts\n") == 2
    assert output.splitlines()[-1] == "shared groups in 0 of 2 folds, shared photographs in 0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["theirs.csv"]


def test_a_check_finds_copies_under_other_groups_certain_ones_first(split, tmp_path):
    theirs = published(tmp_path / "theirs.csv", BY_LESION | {"again": 2, "same": 2})
    status, output, _ = split("clinic", "--check", theirs)
    assert status == 1
    found = [line for line in output.split("fold 1")[0].splitlines() if "LEAK" in line]
    assert found == [
        "  LEAK: the same file: test i00 (group g00) and train same (group copy1)",
        "  LEAK: likely the same photograph: test i00 (group g00) and train again (group copy2)",
    ]
    assert output.splitlines()[-1] == "shared groups in 0 of 2 folds, shared photographs in 2, look at the likely ones"
    assert split("clinic", "--check", theirs, "--no_pictures")[0] == 0


def test_a_split_of_ours_names_its_data_set_itself(split, tmp_path):
    assert split("clinic", "--folds=2", "--out=cv.csv")[0] == 0
    status, output, _ = split("--check=cv.csv", "--no_pictures")
    assert (status, output.count("no group is in two parts")) == (0, 2)
    assert split("--check=cv.csv")[1].splitlines()[-1].startswith("shared groups in 0 of 2 folds, shared photographs")
    (tmp_path / "cv.json").unlink()
    output = split("--check=cv.csv")[1]
    assert output.splitlines()[-1] == (
        "shared groups in 0 of 2 folds; photographs were not compared: give the data set's NAME to compare them"
    )


@pytest.mark.parametrize("option", ["--check=indices.pkl", "--protocol=file --file=indices.pkl"])
def test_a_pickle_is_one_sentence_that_names_the_program_for_it(split, tmp_path, option):
    (tmp_path / "indices.pkl").write_bytes(b"}.")
    status, _, errors = split("clinic", *option.split())
    assert (status, errors.count("\n")) == (1, 1)
    assert "`python tools/convert_index_pickle.py indices.pkl IMAGES.csv SPLIT.csv`" in errors


def test_a_class_without_images_and_a_long_name_keep_the_columns(root):
    dataset = read_dataset(root / "clinic", "clinic")
    split = split_dataset(dataset, SplitSettings(test=0, validation=0))
    assert counts_table(split, ["a very long class name", *dataset.classes]) == [
        "                                     train",
        "  class                    images   groups",
        "  a very long class name        0        0",
        "  mel                           8        4",
        "  nv                           18       10",
        "  all                          26       14",
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "no data set is given: skinjax split NAME"),
        (["nowhere"], "unknown data set 'nowhere'; known: .*clinic"),
        (["clinic", "--protocol=random"], "unknown split protocol 'random'; known: file, image_stratified"),
        (["clinic", "--protocol=file"], "needs a file"),
        (["clinic", "--folds=5"], "class 'mel' has 4 groups, fewer than the 5 parts"),
        (["clinic", "--protocol=official", "--test=0.3"], "--folds and --test are for splits that are drawn"),
        (["clinic", "--protocol=file", "--folds=3"], "those of the protocol file come with it: leave them out"),
        (["clinic", "--folds=two"], "invalid int value: 'two' .see skinjax split --help"),
        (["clinic", "--test=nan"], "split.test is nan; it must be a number from 0 to less than 1"),
        (["clinic", "--test=0.5", "--validation=0.6"], "must be fractions"),
        (["clinic", "--out=mine.json"], r"--out is 'mine\.json': end it in \.csv"),
        (["clinic", "--out=nowhere/mine.csv"], "cannot write nowhere/mine.csv: No such file"),
        (["--check=absent.csv"], r"absent\.csv cannot be read"),
        (["nowhere", "--check=absent.csv"], "unknown data set 'nowhere'"),
    ],
)
def test_a_mistake_is_one_sentence(split, tmp_path, arguments, sentence):
    status, output, errors = split(*arguments)
    assert status == 1
    assert re.match(f"error: .*{sentence}", errors)
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    assert "written" not in output
