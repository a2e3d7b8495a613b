"""The HTML of a report: whole, alone, and safe whatever a table says."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.evaluation.predictions import write_predictions
from skinjax.report.page import numbered, page, sections, write_figures, write_report
from skinjax.report.subjects import open_subject
from tests.evaluation.tables import make_table
from tests.report.conftest import HOSTILE, make_run, table_of


def html_of(*paths):
    subjects = [open_subject(path) for path in paths]
    return page_of(subjects)


def page_of(subjects):
    names = numbered([of.name for of in subjects])
    return page(sections(subjects), names, any(of.synthetic for of in subjects))


def written(table, path):
    write_predictions(path, table)
    path.with_suffix(".json").unlink()
    return path


def text_of(html):
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<style.*?</style>", "", html)).split())


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    return html_of(make_run(tmp_path_factory.mktemp("html") / "run"))


def test_a_run_has_every_section_in_order(html):
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", html)
    assert titles == [
        *("What was judged", "Figures", "Images and people", "Leak status", "Classes"),
        *("Confusion, curves and calibration", "Training", "Mistakes", "Settings and environment"),
        *("Model card", "Checklist"),
    ]
    anchors = re.findall(r'<a href="#([\w-]+)">', html)
    assert set(anchors) <= set(re.findall(r'id="([\w-]+)"', html))


def test_it_says_what_it_is(html):
    text = text_of(html)
    assert "Not a medical device" in text
    assert "Synthetic: drawn by a program" in text
    assert "paper 001, Table Pretrained" in text
    assert "none of 39 images is of a lesion with a training image" in text
    assert "Not known: site of the body, reference standard (dx_type), skin tone" in text


def test_it_needs_nothing_else(html):
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html
    assert "<script" not in html
    sources = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", html)
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "url(http" not in html


def test_ids_are_unique_and_those_that_are_referred_to_exist(html):
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(#|href="#)([\w-]+)', html)) <= set(ids)


def test_figures_have_words_and_the_colours_of_the_page(html):
    for svg in re.findall(r"(?s)<svg.*?</svg>", html):
        root = ET.fromstring(svg)
        assert (root.get("role"), bool(root.get("aria-label"))) == ("img", True)
        assert "#222222" not in svg
        assert "var(--ink)" in svg


def test_the_same_run_gives_the_same_page(run):
    assert html_of(run) == html_of(run)


def test_names_inject_no_html(tmp_path):
    table = table_of(np.arange(70) % len(HOSTILE), classes=HOSTILE)
    path = written(
        type(table)(**{**vars(table), "image_ids": [f"<b>{n}</b>" for n in range(70)]}), tmp_path / "table.csv"
    )
    html = html_of(path)
    assert "<script" not in html
    assert "<img" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "n" * 100 not in html
    assert "\x01" not in html
    assert "\u202e" not in html


def test_names_inject_no_path_and_no_formula(tmp_path):
    table = table_of(np.arange(70) % len(HOSTILE), classes=HOSTILE)
    paths = [written(table, tmp_path / f"{name}.csv") for name in ("a", "b")]
    subjects = [open_subject(path, name="../../" + path.stem) for path in paths]
    folder = tmp_path / "deep" / "figures"
    files = write_figures(folder, sections(subjects))
    assert len(files) == 10
    assert {path.parent for path in tmp_path.rglob("*") if path.is_file()} == {tmp_path, folder}
    assert {path.suffix for path in folder.iterdir()} == {".png", ".svg", ".csv"}
    assert not [line for path in files for line in path.read_text().splitlines() if line.startswith(("=", "+", "@"))]


def test_a_table_needs_neither_a_protocol_nor_jax(table, tmp_path):
    path = written(table, tmp_path / "theirs.csv")
    command = "import sys; from skinjax import cli; print(cli.main(sys.argv[1:]), 'jax' in sys.modules)"
    arguments = [sys.executable, "-c", command, "report", str(path)]
    assert (
        subprocess.run(arguments, capture_output=True, text=True).stdout
        == f"wrote {path.with_suffix('.html')}\n0 False\n"
    )
    assert "This table has no protocol" in text_of(path.with_suffix(".html").read_text())


@pytest.mark.parametrize(
    ("labels", "groups", "says"),
    [
        ([-1] * 6, None, "no image of the table is labelled"),
        ([0] * 6, None, "No two classes have 5 errors between them"),
        ([0, 1, 2] * 2, ["g"] * 6, "all labelled images are of one group"),
    ],
)
def test_a_poor_table_is_judged_as_far_as_it_goes(labels, groups, says, tmp_path):
    table = table_of(np.array(labels), groups=groups)
    assert says in text_of(html_of(written(table, tmp_path / "poor.csv"))).replace("No bootstrap: ", "")


def test_tables_of_the_same_images_are_compared_and_of_others_not(table, tmp_path):
    other = make_table(table.labels[:50], table.probabilities[:50])
    first, again, fewer = (
        written(of, tmp_path / name)
        for of, name in ((table, "a.csv"), (table_of(table.labels, seed=1), "b.csv"), (other, "c.csv"))
    )
    text = text_of(html_of(first, again))
    assert "Minus a, paired by group: two networks, not two methods" in text
    assert re.search(r"b macro recall [+-]0\.\d+ \[", text)
    assert "Not compared: " in text_of(html_of(first, fewer))


def test_runs_of_one_name_are_methods_and_have_a_speed_up(tmp_path):
    subjects = [open_subject(make_run(tmp_path / f"{n}", seed=n), name="AABB"[n]) for n in range(4)]
    text = text_of(page_of(subjects))
    assert "fewer than 5 runs of a method decide nothing" in text
    assert "Speed-up of training" in text
    assert "A (2)" in text


def test_a_file_that_is_no_report_is_not_written_over(table, tmp_path):
    subject = open_subject(written(table, tmp_path / "t.csv"))
    thesis = tmp_path / "t.html"
    thesis.write_text("<!doctype html> my thesis")
    with pytest.raises(UserError, match="is there and is no report of skinjax"):
        write_report(thesis, [subject])
    thesis.unlink()
    write_report(thesis, [subject])
    write_report(thesis, [subject])


def test_names_are_told_apart():
    assert numbered(["a", "b", "a", "a"]) == ["a", "b", "a (2)", "a (3)"]
