"""ISIC 2016 task 3: words in one table, numbers in the other, a header in neither."""

import pytest

from skinjax.core.errors import UserError
from skinjax.data.acquire.builders.isic import read_isic2016

from .fabricated import isic2016, jpeg, unpacked

TRAINING, TEST = "ISBI2016_ISIC_Part3_Training_GroundTruth.csv", "ISBI2016_ISIC_Part3_Test_GroundTruth.csv"


def check_rows(listing) -> None:
    assert listing.classes == ("benign", "malignant")
    assert listing.columns["image_id"].tolist() == ["ISIC_0000000", "ISIC_0000002", "ISIC_0000003", "ISIC_0000012"]
    assert listing.columns["label"].tolist() == [0, 1, 0, 1]
    assert listing.columns["split"].tolist() == ["train", "train", "test", "test"]
    assert listing.columns["group"].tolist() == listing.columns["image_id"].tolist()
    assert [photograph.read() for photograph in listing.photographs] == [jpeg(0), jpeg(2), jpeg(3), jpeg(12)]
    assert listing.notes == ()


@pytest.mark.parametrize("task", ["3", "3B"])
def test_both_parts(task, read):
    check_rows(read(read_isic2016, isic2016(task)))
    check_rows(read(read_isic2016, unpacked(isic2016(task))))


def test_a_table_with_a_header(read):
    check_rows(
        read(read_isic2016, {**isic2016(), TRAINING: b"image,label\nISIC_0000002,malignant\nISIC_0000000,benign\n"})
    )


MISTAKES = {
    "word": (
        {TRAINING: b"ISIC_0000000,benign\nISIC_0000002,bad\n"},
        f"{TRAINING} line 2: label 'bad' is none of benign",
    ),
    "probability": (
        {TEST: b"ISIC_0000003,0.3\n"},
        f"{TEST} line 1: label '0.3' is none of benign, malignant, 0.0, 1.0",
    ),
    "cells": ({TRAINING: b"ISIC_0000000,benign,0.0\n"}, f"{TRAINING} line 1 has 3 cells for 2 columns"),
    "twice": ({TEST: b"ISIC_0000003,0.0\nISIC_0000003,1.0\n"}, "line 2: image 'ISIC_0000003' is already on line 1"),
    "two parts": ({TEST: b"ISIC_0000003,0.0\nISIC_0000002,0.0\n"}, f"{TEST} line 2: image 'ISIC_0000002' is in the tr"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told(mistake, read):
    files, sentence = MISTAKES[mistake]
    with pytest.raises(UserError) as raised:
        read(read_isic2016, isic2016() | files)
    assert sentence in str(raised.value)


def test_a_missing_table_is_told(read):
    files = isic2016()
    del files[TEST]
    with pytest.raises(UserError, match=f"holds no {TEST}: download training and test data and ground truth of task 3"):
        read(read_isic2016, files)
