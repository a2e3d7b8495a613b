"""What the sections say: literal runs, literal sentences."""

import dataclasses

import numpy as np

from skinjax.data.splits.split import image_stratified
from skinjax.report.card import card, checklist
from skinjax.report.sections import classes, flow, headline, leak, mistakes, pictures, printed_figures
from skinjax.report.subjects import open_subject
from tests.report.conftest import make_run


def words(blocks):
    return [of.text for of in blocks if of.kind == "words"]


def grid(blocks, caption):
    (found,) = [of for of in blocks if of.kind == "grid" and of.caption == caption]
    return found


def test_what_the_paper_prints_for_a_config_stands_beside_its_figures(run):
    subject = open_subject(run)
    where = "paper 001, Table Pretrained"
    assert printed_figures(subject) == {"accuracy": f"0.843, {where}", "macro_recall": f"0.727, {where}"}
    table = grid(headline(subject), "With their 95 % intervals")
    assert [row[2] for row in table.rows if row[0] in ("accuracy", "macro auc")] == [f"0.843, {where}", ""]


def test_a_mean_of_folds_in_per_cent_is_a_share_with_its_deviation(tmp_path):
    subject = open_subject(make_run(tmp_path / "run", config="cdc:skin7"))
    assert printed_figures(subject)["macro_recall"] == "0.848 (0.010), paper 000, Table 1"
    assert printed_figures(open_subject(make_run(tmp_path / "demo", config="cdc:demo"))) == {}


def test_people_of_the_training_part_are_not_known_without_the_data_set(run):
    (by_age,) = [of for of in flow(open_subject(run)) if of.kind == "grid" and of.caption == "Images by age"]
    assert by_age.header == ["age", "train", "validation", "test"]
    assert by_age.rows == [
        ["30-44", "not known", "not known", "20 (51 %)"],
        ["60-74", "not known", "not known", "19 (49 %)"],
    ]


def test_without_the_data_set_photographs_are_told_by_name(run):
    blocks = mistakes(open_subject(run))
    assert any("Photographs need the data set synthetic" in of.text for of in blocks if of.kind == "words")
    assert {of.source for block in blocks if block.kind == "gallery" for of in block.thumbnails} == {""}


def test_pictures_that_were_drawn_are_shown(run):
    assert pictures(open_subject(run)) == []
    (run / "explain").mkdir()
    (run / "explain" / "grad_cam.png").write_bytes(b"\x89PNG and so on")
    (run / "explain" / "huge.png").write_bytes(b"\x89PNG" + bytes(2_000_000))
    (gallery,) = pictures(open_subject(run))
    assert [(of.shows, of.source[:22]) for of in gallery.thumbnails] == [("grad cam", "data:image/png;base64,")]


def test_images_and_lesions_are_counted_by_class_and_part(run):
    table = grid(flow(open_subject(run)), "Images / lesions (groups) of each class")
    assert table.header == ["class", "train", "validation", "test"]
    assert table.rows[-1] == ["all", "81 / 81", "0 / 0", "39 / 39"]


def test_a_leak_is_said_aloud(run):
    subject = open_subject(run)
    groups = np.arange(120) // 2
    names = np.array(["nv"] * 120)
    ids = [f"i{number:03d}" for number in range(120)]
    split = image_stratified(ids, groups.astype(str), names, seed=0, test=0.5)
    told = [of for of in leak(dataclasses.replace(subject, split=split)) if of.loud]
    assert len(told) == 1
    assert "of 60 images" in told[0].text
    assert "are of lesions with a training image" in told[0].text
    assert not [of for of in leak(subject) if of.loud]


def test_classes_of_few_groups_are_marked(run):
    subject = open_subject(run)
    few = {name: of | {"few": name == "df", "groups": 3} for name, of in subject.found["per_class"].items()}
    blocks = classes(dataclasses.replace(subject, found=subject.found | {"per_class": few}))
    assert [row[2] for row in blocks[0].rows] == ["3", "3", "3 †"]
    assert "hardly known" in blocks[1].text


def test_what_is_known_is_filled_in_and_the_rest_is_left_to_the_reader(run):
    (form,) = card(open_subject(run))
    rows = dict(form.rows)
    assert rows["Model"] == "method.name classifier, model.backbone resnet_tiny"
    assert rows["Trained on"] == "81 images of 81 lesions of synthetic"
    assert rows["Intended use and users"] == ""
    note, form = checklist(open_subject(run))
    assert "CLAIM 2024 and STARD-AI" in note.text
    assert dict(form.rows)["Parts: how they were drawn, and at which level they are apart"] == "lesion"
    assert sum(known == "" for _, known in form.rows) > 10
