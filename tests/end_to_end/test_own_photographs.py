"""Thirty photographs in every odd format, from `skinjax scan` to a trained model, by the commands of the README."""

import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skinjax.data.synthetic.photographs import Painter
from skinjax.data.synthetic.settings import Settings
from skinjax.evaluation.predictions import read_predictions
from tests.end_to_end.conftest import ROOT

# Shorter than the README's run, on a smaller network; the words stay.
SHORTER = [
    "--config.model.backbone=resnet_tiny",
    "--config.views.size=(32,32)",
    "--config.stored_size.height=40",
    "--config.stored_size.width=40",
    "--config.phases.train.duration=48",
    "--config.phases.train.warmup=8",
]


def turned(orientation: int):
    def save(image: Image.Image, file: io.BytesIO) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(file, "JPEG", exif=exif)

    return save


def as_mode(mode: str, format_: str, **options):
    return lambda image, file: image.convert(mode).save(file, format_, **options)


def in_sixteen_bits(image: Image.Image, file: io.BytesIO) -> None:
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(file, "PNG")


def with_alpha(image: Image.Image, file: io.BytesIO) -> None:
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(file, "PNG")


FORMATS = [
    *((f"turned{orientation}.jpg", turned(orientation)) for orientation in range(1, 9)),
    ("grey.jpg", as_mode("L", "JPEG")),
    ("cmyk.jpg", as_mode("CMYK", "JPEG")),
    ("progressive.jpeg", as_mode("RGB", "JPEG", progressive=True)),
    ("plain.png", as_mode("RGB", "PNG")),
    ("palette.png", as_mode("P", "PNG")),
    ("grey.png", as_mode("L", "PNG")),
    ("sixteen.png", in_sixteen_bits),
    ("alpha.png", with_alpha),
    ("plain.webp", as_mode("RGB", "WEBP")),
    ("plain.bmp", as_mode("RGB", "BMP")),
    ("plain.tif", as_mode("RGB", "TIFF")),
    ("packed.tiff", as_mode("RGB", "TIFF", compression="tiff_lzw")),
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Three classes of ten photographs, each format at least once."""
    folder = tmp_path_factory.mktemp("own") / "photos"
    painter = Painter(Settings(images=30, height=48, width=64, classes=3, imbalance=1.0))
    for row, label in enumerate(painter.columns["label"].tolist()):
        name, save = FORMATS[row % len(FORMATS)]
        file = io.BytesIO()
        save(Image.fromarray(painter.draw(row)), file)
        path = folder / ("bcc", "mel", "nv")[label] / f"{row:02d}_{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.getvalue())
    return folder


def readme_commands() -> list[str]:
    """The commands about a folder `photos` in the README, in their order."""
    block = re.search(r"```\n(skinjax scan photos\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block, "the README no longer begins with a scan"
    return [line.partition("  #")[0].strip() for line in block[1].splitlines() if line.strip()]


def test_the_readmes_words_lead_from_photographs_to_a_trained_model(photos, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "photos").symlink_to(photos)
    (work / "configs").symlink_to(ROOT / "configs")
    verbs = []
    for command in readme_commands():
        program, *arguments = shlex.split(command)
        verbs.append(arguments[0] if program == "skinjax" else "train")
        if program == "skinjax":
            started = [sys.executable, "-m", "skinjax.cli", *arguments]
        else:
            assert (program, arguments[:2]) == ("python", ["-m", "skinjax.main"])
            started = [sys.executable, *arguments, *SHORTER]
        where = [] if verbs[-1] == "scan" else [f"--data_dir={tmp_path / 'data'}"]
        done = subprocess.run([*started, *where], cwd=work, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert verbs == ["scan", "prepare", "show", "train"]
    (run,) = (work / "runs").glob("own-photos-*")
    predictions = read_predictions(run / "predictions_test.csv")
    assert predictions.classes == ("bcc", "mel", "nv")
    assert set(predictions.labels.tolist()) == {0, 1, 2}
