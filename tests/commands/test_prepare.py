"""`skinjax prepare` and `skinjax datasets` as a user starts them."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skinjax.cli import main
from skinjax.commands.prepare import describe


@pytest.fixture
def downloads(tmp_path):
    """Six photographs of four lesions, in the layout of HAM10000."""
    rows = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    with zipfile.ZipFile(tmp_path / "HAM10000_images_part_1.zip", "w") as archive:
        for number in range(6):
            image, dx = f"ISIC_002430{number}", ("nv", "mel")[number % 2]
            rows.append(f"HAM_000000{number % 4},{image},{dx},histo,{40 + number}.0,male,back")
            picture = io.BytesIO()
            Image.fromarray(np.full((12, 16, 3), 40 * number, np.uint8)).save(picture, "JPEG")
            archive.writestr(f"{image}.jpg", picture.getvalue())
    (tmp_path / "HAM10000_metadata.csv").write_text("\n".join(rows))
    return tmp_path


def test_prepare_and_list(downloads, tmp_path, capsys):
    data = f"--data_dir={tmp_path / 'data'}"
    assert main(["datasets", data]) == 0
    listed = capsys.readouterr().out
    assert "  ham10000\n    HAM10000, dermoscopic images of common pigmented skin lesions: 10,015 photographs" in listed
    assert f"prepared under {tmp_path / 'data'}: none" in listed
    assert (
        "  folder\n    your own photographs, one folder per class, or train/validation/test and then classes\n"
        in listed
    )
    assert main(["prepare", "ham10000", f"--source={downloads}", data]) == 0
    output = capsys.readouterr().out.splitlines()
    assert output[0] == "ham10000: 6 photographs of 4 groups in 7 classes"
    assert output[5] == "  mel         3"
    assert output[8] == "licence: CC BY-NC 4.0"
    assert output[-1].startswith(f"prepared in {tmp_path / 'data' / 'ham10000'} (")
    assert output[-1].endswith(" s); train on it: --config=configs/own.py:ham10000")
    assert main(["datasets", data]) == 0
    listed = capsys.readouterr().out
    assert "  ham10000 (prepared)\n" in listed
    assert "  ham10000: 6 photographs, 4 groups (akiec 0, bcc 0, bkl 0, df 0, mel 3, nv 3, vasc 0)" in listed
    (tmp_path / "data" / "ham10000" / "manifest.json").write_text("{")
    assert main(["datasets", data]) == 0
    assert "is damaged" in capsys.readouterr().out


def test_unlabelled_photographs_and_official_parts_are_told():
    manifest = {
        "images": 1200,
        "groups": 3,
        "images_per_class": {"mel": 1000, "nv": 199},
        "images_per_part": {"test": 2, "": 1, "train": 1197},
        "notes": ["1 photograph is there twice and read once"],
        "left_out": {"rows": 4, "table": "left_out.csv"},
        "licence": "yours",
        "citation": "",
    }
    assert describe(Path("data/clinic"), manifest) == [
        "clinic: 1,200 photographs of 3 groups in 2 classes",
        "  mel            1,000",
        "  nv               199",
        "  (unlabelled)       1",
        "parts: train 1,197, test 2, none 1",
        "to train and test on these parts: --config.split.protocol=official",
        "note: 1 photograph is there twice and read once",
        "left out: 4, listed in data/clinic/left_out.csv",
        "licence: yours",
    ]


MISTAKES = {
    "no name": (["prepare"], "the following arguments are required: NAME (see skinjax prepare --help)"),
    "unknown name": (["prepare", "ham1000", "--source=."], "unknown data set 'ham1000' (did you mean 'ham10000'?)"),
    "no source": (["prepare", "ham10000"], "no --source is given; download HAM10000_images_part_1.zip"),
    "no folder": (["prepare", "ham10000", "--source=nowhere"], "there is no folder or archive 'nowhere'"),
    "wrong folder": (["prepare", "ham10000", "--source={folder}"], "holds no HAM10000_metadata: download HAM10000"),
    "number": (["prepare", "folder", "--source={folder}", "--max_side=big"], "invalid number value: 'big'"),
    "name": (["prepare", "folder", "--source={folder}", "--name=a/b"], "'a/b' cannot name a data set"),
    "empty folder": (["prepare", "folder", "--source={folder}", "--name=x"], "none of the photographs"),
    "no table": (["prepare", "csv", "--source={folder}", "--name=x"], "holds no .csv with columns image and label"),
    "flag": (["prepare", "folder", "--skipbad"], "unrecognized arguments: --skipbad (see skinjax prepare --help)"),
    "verb": (["prepar"], "unknown verb 'prepar' (did you mean 'prepare'?)"),
    "no verb": ([], "no verb is given; known: bundle, correct, crossval, "),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(mistake, tmp_path, capsys):
    arguments, expected = MISTAKES[mistake]
    (tmp_path / "empty").mkdir()
    arguments = [argument.replace("{folder}", str(tmp_path / "empty")) for argument in arguments]
    assert main([*arguments, f"--data_dir={tmp_path / 'data'}"] if arguments else []) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert expected in errors
    assert not (tmp_path / "data").exists()
