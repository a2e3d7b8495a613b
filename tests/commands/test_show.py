"""`skinjax show` of a data set and of a config, its figures on disk and its words, and its mistakes."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from skinjax.cli import main
from skinjax.commands.show import choose_examples, count_lines, make_folder, view_rows
from skinjax.data.acquire.prepare import prepare
from skinjax.data.dataset import Dataset
from skinjax.recipe.config_files import load_config
from skinjax.runs import building
from tests.end_to_end.conftest import ROOT, SMALL, TINY

CONFIG, BASELINE = (str(ROOT / "configs" / f"{name}.py") for name in ("cdc", "baselines"))
CHANGES = [change for change in TINY if change.startswith("--config.")]


def encode(folder, name, colour, size):
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A data folder with `clinic`, a data set of two classes and photographs of two shapes."""
    source = tmp_path_factory.mktemp("source") / "clinic"
    for number in range(4):
        encode(source, f"Seborrheic_Keratosis/{number}", (200, 10 * number, 0), (40, 30))
    encode(source, "nv/0", (0, 0, 200), (600, 1200))
    root = tmp_path_factory.mktemp("data")
    prepare("folder", source, root)
    return root


def figures(folder):
    """The colours of each figure: {name: [pixels, 3]}."""
    found = {}
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            found[path.name] = np.array(image.convert("RGB")).reshape(-1, 3)
    return found


def test_a_data_set_has_a_panel_and_frequencies(capsys, tmp_path, monkeypatch, data_dir):
    monkeypatch.chdir(tmp_path)
    assert main(["show", "clinic", f"--data_dir={data_dir}"]) == 0, capsys.readouterr().err
    output = capsys.readouterr().out
    assert "clinic: 5 images of 5 groups in 2 classes, 4.0 to 1, 4 (Seborrheic_Keratosis) to 1 (nv)" in output
    assert output.endswith("wrote show/clinic/class_panel.png\nwrote show/clinic/class_frequencies.png\n")
    assert "synthetic" not in output
    drawn = figures(tmp_path / "show" / "clinic")
    assert sorted(drawn) == ["class_frequencies.png", "class_panel.png"]
    for colour in [(0, 0, 200), *((200, 10 * number, 0) for number in range(4))]:
        assert np.sum(np.all(drawn["class_panel.png"] == colour, axis=1)) > 500, colour


def test_a_config_has_views_and_a_schedule_too(capsys, tmp_path, data_dir):
    own = ["--config.dataset.arguments.images=42", f"--out={tmp_path / 'figures'}", "--images=2"]
    assert main(["show", CONFIG, *CHANGES, *own, f"--data_dir={data_dir}"]) == 0, capsys.readouterr().err
    lines = capsys.readouterr().out.splitlines()
    assert "synthetic: drawn by a program, a test bench and not medicine" in lines
    (heading,) = [line for line in lines if line.startswith("  class")]
    assert heading.split() == ["class", "images", "per", "cent", "groups", "train", "validation", "test"]
    (total,) = [line.split() for line in lines if line.startswith("  all")]
    assert total[1:3] == ["42", "100.0"]
    assert sum(map(int, total[-3:])) == 42
    (batch,) = [line for line in lines if line.startswith("the first batch of phase train, 14 images")]
    assert batch.endswith(": akiec 2, bcc 2, bkl 2, df 2, mel 2, nv 2, vasc 2")
    names = ["class_panel.png", "class_frequencies.png", "views.png", "schedule.png"]
    assert [line for line in lines if line.startswith("wrote")] == [f"wrote {tmp_path / 'figures' / n}" for n in names]
    assert sorted(figures(tmp_path / "figures")) == sorted(names)


def test_the_table_counts_images_and_groups_per_part():
    columns = {
        "image_id": np.array(list("abcdef")),
        "group": np.array(["x", "x", "y", "z", "w", "v"]),
        "label": np.array([0, 0, 0, 0, 1, -1]),
        "age": np.array([50, np.nan, np.nan, 60, 70, 80]),
        "site": np.array(["back", "", "", "", "", ""]),
        "fold": np.arange(6),
    }
    dataset = Dataset("own", ("nv", "melanoma"), columns, [], "")
    assert count_lines(dataset, {"train": np.array([0, 1, 4]), "test": np.array([2, 3, 5])}) == [
        "own: 6 images of 5 groups in 2 classes, 4.0 to 1, 4 (nv) to 1 (melanoma)",
        "  class       images  per cent  groups  train  test",
        "  nv               4      66.7       3      2     2",
        "  melanoma         1      16.7       1      1     0",
        "  (no label)       1      16.7       1      0     1",
        "  all              6     100.0       5      3     3",
        "metadata (images where it is known): age (4), site (1), fold (6)",
    ]


def test_examples_are_of_different_groups_as_far_as_there_are():
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    groups = np.array(["a", "a", "a", "b", "c", "c", "d"])
    for seed in range(5):
        chosen = choose_examples(labels, groups, 4, each=2, seed=seed)
        assert set(groups[chosen[0]]) == {"a", "b"}
        assert [len(records) for records in chosen] == [2, 2, 1, 0]
        assert len(set(chosen[1].tolist())) == 2
    assert len({choose_examples(labels, groups, 4, 2, seed)[0].tobytes() for seed in range(5)}) > 1


def test_copies_are_trained_on_and_originals_evaluated(tmp_path, data_dir):
    changes = [
        "dataset.name=clinic",
        "sampler=statically_balanced",
        "split.test=0.0",
        "split.validation=0.0",
        "batch=5",
        "stored_size.height=32",
        "stored_size.width=32",
        "views.size=(32,32)",
        "views.train=none",
    ]
    config = load_config(CONFIG, changes)
    config = config.replace(dataset=config.dataset.replace(arguments={}))
    data = building.make_data(config, tmp_path, data_dir, print)
    (phase,) = building.make_phases(config, data)
    stored, copies, *draws, evaluated = view_rows(config, data, phase, phase.sampler(0)).values()
    np.testing.assert_array_equal(evaluated, stored)
    np.testing.assert_array_equal(draws, [copies] * 3)
    number = phase.sampler.copies(0)
    assert number.any()
    assert not number.all()
    np.testing.assert_array_equal([np.array_equal(*pair) for pair in zip(stored, copies, strict=True)], number == 0)


def shown_rows(changes, tmp_path, data_dir, count=4):
    """The rows of a config's views for its first images."""
    changes = [*SMALL, "--config.views.size=(40,40)", *(f"--config.{change}" for change in changes)]
    config = load_config(BASELINE, [change.removeprefix("--config.") for change in changes])
    config = config.replace(dataset=config.dataset.replace(arguments=config.dataset.arguments | {"images": 42}))
    tmp_path.mkdir(exist_ok=True)
    data = building.make_data(config, tmp_path, data_dir, print)
    (phase,) = building.make_phases(config, data)
    return {name: np.asarray(row) for name, row in view_rows(config, data, phase, np.arange(count)).items()}


def test_a_mixture_stands_below_its_picture_and_its_partner(tmp_path, data_dir):
    rows = shown_rows(["method.mixup_share=0.7"], tmp_path, data_dir)
    own, partner = (rows[name].astype(float) for name in ("a picture", "its partner"))
    alike = (own == partner).all(axis=(1, 2, 3))
    expected = np.where(alike[:, None, None, None], own, 0.7 * own + 0.3 * partner)
    np.testing.assert_allclose(rows["mixed"], expected, atol=1)
    assert not alike.all()


def test_pretexts_have_a_row_where_they_are_trained_on(tmp_path, data_dir):
    rows = shown_rows(["method.name=restoration", "views.train=none"], tmp_path, data_dir)
    whole, puzzle = (rows[name] for name in ("training view\nnone, 40x40\ndraw 1", "restoration\nin training"))
    patches = [np.sort(x.reshape(4, 5, 8, 5, 8, 3).swapaxes(2, 3).reshape(4, 25, -1), axis=1) for x in (whole, puzzle)]
    np.testing.assert_array_equal(*[np.sort(x.sum(axis=2, dtype=int), axis=1) for x in patches])
    assert (whole != puzzle).any(axis=(1, 2, 3)).all()
    turned = shown_rows(["method.name=rotation"], tmp_path / "turned", data_dir)["rotation\nin training"]
    assert (turned[:, 0, 0] == turned[0, 0, 0]).all()  # beyond the circle
    without = shown_rows(["method.name=rotation", "phases.train.terms.rotation=0.0"], tmp_path / "not", data_dir)
    assert "rotation\nin training" not in without


def test_corrections_have_a_row_and_are_in_the_views(tmp_path, data_dir):
    changes = [*CHANGES, "--config.views.size=(40,40)", "--config.views.corrections=('gamma',)"]
    config = load_config(CONFIG, [change.removeprefix("--config.") for change in changes])
    arguments = config.dataset.arguments | {"images": 42}
    config = config.replace(dataset=config.dataset.replace(arguments=arguments))
    data = building.make_data(config, tmp_path, data_dir, print)
    (phase,) = building.make_phases(config, data)
    rows = view_rows(config, data, phase, np.arange(2))
    stored, corrected = rows["as stored\n40x40"], rows["corrected\ngamma"]
    np.testing.assert_allclose(corrected, 255 * (stored / 255.0) ** (1 / 1.35), atol=0.5)
    np.testing.assert_array_equal(rows["evaluation view\ncentre_crop, 40x40"], corrected)
    as_in_evaluation = dataclasses.replace(phase, objective=dataclasses.replace(phase.objective, augment=False))
    fewer = view_rows(config, data, as_in_evaluation, np.arange(2))
    assert set(rows) - set(fewer) == {name for name in rows if name.startswith("training view")} != set()


def test_names_of_folders_stay_below_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(make_folder(None, "../my config/x")) == "show/my-config-x"
    assert str(make_folder(None, "cdc-demo")) == "show/cdc-demo"


MISTAKES = {
    "data set": (["synthetik"], "unknown data set 'synthetik' (did you mean 'synthetic'?); known: "),
    "not prepared": (["ham10000"], "the data set ham10000 is not prepared under"),
    "config file": (["configs/cd.py"], "there is no config file 'configs/cd.py'"),
    "variant": ([CONFIG + ":dmo"], "did you mean 'demo'"),
    "field": ([CONFIG, "--config.views.trian=none"], "did you mean 'train'"),
    "view": ([CONFIG, "--config.views.train=crops"], "unknown training view 'crops'"),
    "config of what is none": (["clinic", "--config.seed=1"], "clinic is the name of a data set"),
    "images": (["clinic", "--images=0"], "--images: 0 is no number from 1 to 50"),
    "seed": (["clinic", "--seed=-1"], "--seed: -1 is no number from 0"),
    "out": (["clinic", f"--out={CONFIG}"], "is a file, not a folder"),
    "out below a file": (["clinic", f"--out={CONFIG}/x"], "cannot write figures to"),
    "no target": ([], "TARGET"),
    "argument": (["clinic", "--image=3"], "--image"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(mistake, capsys, data_dir):
    arguments, expected = MISTAKES[mistake]
    assert main(["show", *arguments, f"--data_dir={data_dir}"]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert expected in errors
