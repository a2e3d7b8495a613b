"""`skinjax correct` of an image, a folder, an archive and a data set, its sheet, and its mistakes."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from skinjax.cli import main
from skinjax.commands import correct
from skinjax.data import dataset
from skinjax.data.acquire.prepare import prepare
from skinjax.images.correction import CORRECTIONS

ORANGE, BLUE, GREEN = (200, 100, 0), (0, 0, 200), (0, 200, 0)


def encode(path, colour, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder `photographs` with an orange, a blue and a green picture, and a text; the current one is beside it."""
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "photographs" / "orange.png", ORANGE)
    encode(tmp_path / "photographs" / "more" / "blue.png", BLUE)
    encode(tmp_path / "photographs" / "more" / "green.png", GREEN, (25, 50))
    (tmp_path / "photographs" / "read.me").write_text("not an image")
    return tmp_path / "photographs"


def pixels_of(sheet, colour):
    with Image.open(sheet) as image:
        return int(np.sum(np.all(np.array(image) == colour, -1)))


def test_an_image_and_every_correction_of_it(folder, capsys):
    assert main(["correct", "photographs/orange.png", "--zooms=2"]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out == "wrote correct/orange.png/corrections.png\n"
    sheet = folder.parent / "correct" / "orange.png" / "corrections.png"
    # Original, field of view, hair, even light and zoom are all the same here.
    assert pixels_of(sheet, ORANGE) == 5 * 40 * 30
    brighter = tuple(round(255 * (level / 255) ** (1 / 1.35)) for level in ORANGE)
    assert pixels_of(sheet, brighter) == 40 * 30
    assert pixels_of(sheet, (200, 200, 200)) >= 40 * 30  # the illumination map


def test_the_help_names_every_correction_in_order():
    assert f"Corrections: {', '.join(CORRECTIONS)} (" in correct.__doc__


def test_a_row_is_labelled_in_the_order_asked_for():
    shown = correct.operations(["gamma", "even_illumination"], [1.5])
    assert list(shown) == [
        *("original", "illumination map", "gamma", "even_illumination", "all, in this order", "zoom 1.5")
    ]
    assert list(correct.operations(["gamma"], [])) == ["original", "gamma"]
    picture = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    [(name, row)] = correct.draw_rows([("mole", picture)], shown)
    assert (name, list(row)) == ("mole", list(shown))
    np.testing.assert_array_equal(row["gamma"], CORRECTIONS["gamma"](picture[None])[0])
    both = CORRECTIONS["even_illumination"](CORRECTIONS["gamma"](picture[None]))[0]
    np.testing.assert_array_equal(row["all, in this order"], both)


def test_a_folder_and_an_archive_are_sampled_by_seed(folder, capsys):
    def shown(*arguments):
        """How many pixels of each of the three originals are on the sheet."""
        assert main(["correct", *arguments, "--corrections=gamma", "--out=out"]) == 0, capsys.readouterr().err
        return tuple(pixels_of(folder.parent / "out" / "corrections.png", colour) for colour in (ORANGE, BLUE, GREEN))

    by_seed = [shown("photographs", "--images=1", f"--seed={seed}") for seed in range(6)]
    assert set(by_seed) == {(1200, 0, 0), (0, 1200, 0), (0, 0, 1250)}
    assert shown("photographs", "--images=1") == by_seed[0]
    with zipfile.ZipFile(folder.parent / "all.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, path.name)
    assert shown("all.zip", "--max_side=20") == (20 * 15, 20 * 15, 10 * 20)


def test_a_data_set_by_its_name(folder, capsys):
    root = folder.parent / "data"
    (folder / "orange.png").unlink()
    encode(folder / "less" / "orange.png", ORANGE)
    prepare("folder", folder, root)
    folder.rename(folder.parent / "moved")
    command = ["correct", "photographs", f"--data_dir={root}", "--corrections=gamma"]
    assert main(command) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.endswith("wrote correct/photographs/corrections.png\n")
    sheet = folder.parent / "correct" / "photographs" / "corrections.png"
    assert [pixels_of(sheet, colour) for colour in (ORANGE, BLUE, GREEN)] == [1200, 1200, 1250]


def test_synthetic_photographs_say_what_they_are(folder, capsys, monkeypatch):
    columns = {"image_id": np.array(["synthetic_0000000"])}
    drawn = [(folder / "orange.png").read_bytes()]
    for synthetic in (True, False):
        made = dataset.Dataset("synthetic", ("nv",), columns, drawn, "", synthetic)
        monkeypatch.setattr(correct, "open_dataset", lambda *_, made=made: made)
        assert main(["correct", "synthetic", "--corrections=gamma", f"--out={synthetic}"]) == 0
    assert capsys.readouterr().out == (
        "synthetic: drawn by a program, a test bench and not medicine\nwrote True/corrections.png\n"
        "wrote False/corrections.png\n"
    )
    white = [pixels_of(folder.parent / out / "corrections.png", (255, 255, 255)) for out in ("True", "False")]
    assert white[0] > white[1]  # a wider sheet, for the same words before the name of the photograph


def test_only_a_sheet_of_its_own_is_replaced(folder, capsys):
    sheet = folder.parent / "out" / "corrections.png"
    encode(sheet, BLUE)
    command = ["correct", "photographs", "--corrections= gamma", "--out=out"]
    before = sheet.read_bytes()
    assert main(command) == 1
    assert "out/corrections.png was not made by `skinjax correct`; give another --out" in capsys.readouterr().err
    assert sheet.read_bytes() == before
    sheet.unlink()
    (sheet.parent / "notes.txt").write_text("mine")
    assert main(command) == 0
    assert main(command) == 0
    assert (sheet.parent / "notes.txt").read_text() == "mine"


def test_a_sheet_has_its_limits(monkeypatch):
    monkeypatch.setattr(correct, "MOST_SHEET_PIXELS", 10_000)
    picture = np.zeros((60, 200, 3), np.uint8)
    with pytest.raises(correct.UserError, match="the sheet would have 206x102 pixels; give a smaller --max_side"):
        correct.draw_sheet([("mole", {"original": picture})], "")


MISTAKES = {
    "correction": (["photographs", "--corrections=gamma,hair"], "unknown correction 'hair'; known: even_illumination"),
    "no correction": (["photographs", "--corrections="], "unknown correction ''"),
    "missing": (["photographs/pink.png"], "there is no file or folder 'photographs/pink.png'"),
    "data set": (["photograph"], "unknown data set 'photograph'"),
    "no images": (["empty"], "there are no images in empty; give an image, a folder of images or a data set's name"),
    "no image": (["photographs/read.me"], "image 'read.me' cannot be decoded"),
    "images": (["photographs", "--images=0"], "--images: 0 is no number from 1 to 50"),
    "seed": (["photographs", "--seed=-1"], "--seed: -1 is no number from 0"),
    "side": (["photographs", "--max_side=5"], "--max_side: 5 is no number from 8 to 4096"),
    "zoom": (["photographs", "--zooms=1.5,0.5"], "--zooms: '1.5,0.5' are not numbers from 1 to 100"),
    "zoom of text": (["photographs", "--zooms=big"], "--zooms: invalid parse_zooms value: 'big'"),
    "out": (["photographs", "--out=photographs/read.me"], "photographs/read.me is a file, not a folder"),
    "out in the source": (
        ["photographs", "--out=photographs/out"],
        "photographs/out lies in photographs, whose images",
    ),
    "out below a file": (
        ["photographs/orange.png", "--corrections=gamma", "--out=photographs/read.me/x"],
        "cannot write photographs/read.me/x/corrections.png: ",
    ),
    "no source": ([], "SOURCE"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(mistake, folder, capsys):
    (folder.parent / "empty").mkdir()
    arguments, expected = MISTAKES[mistake]
    assert main(["correct", *arguments, f"--data_dir={folder.parent / 'data'}"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    assert expected in output.err
    assert not (folder.parent / "correct").exists()
