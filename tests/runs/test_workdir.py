"""The folder of a run: whose it is, who may use it, and what is swept out of it."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from skinjax.core.errors import UserError
from skinjax.recipe import Recipe
from skinjax.recipe.config_files import with_changes
from skinjax.runs.workdir import claim, default_workdir, environment, read_recipe


def config(**changes) -> Recipe:
    """A recipe with fields changed by their dotted names (two underscores for a dot)."""
    changed = [f"{name.replace('__', '.')}={value}" for name, value in changes.items()]
    return with_changes(Recipe(name="cdc", variant="demo"), changed)


def test_the_default_workdir_names_config_variant_and_identity():
    folder = default_workdir(config())
    assert folder.parent == Path("runs")
    name, variant, digits = folder.name.split("-")
    assert (name, variant, len(digits)) == ("cdc", "demo", 8)
    int(digits, 16)
    assert default_workdir(config()) == folder


@pytest.mark.parametrize("changes", [{"seed": 1}, {"optimizer__learning_rate": 2e-3}, {"dataset__name": "ham10000"}])
def test_what_a_run_computes_is_part_of_its_identity(changes):
    assert default_workdir(config(**changes)) != default_workdir(config())


def test_how_loudly_it_works_is_not():
    quiet = config(logging__every=7, logging__tensorboard=False, logging__threads=1)
    assert default_workdir(quiet) == default_workdir(config())
    assert quiet.identity() == {"training": {}, "judging": {}}


@pytest.mark.parametrize(("field", "more"), [("model__weights", {}), ("split__file", {"split__protocol": "file"})])
def test_a_file_is_what_it_holds_and_not_where_it_lies(field, more, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before, moved = tmp_path / "before.csv", tmp_path / "moved.csv"
    recipe, elsewhere = (
        with_changes(Recipe(), [f"{name.replace('__', '.')}={value}" for name, value in [*more.items(), (field, path)]])
        for path in (before, moved)
    )
    before.write_text("these bytes")
    moved.write_text("these bytes")
    folder = default_workdir(recipe)
    assert default_workdir(elsewhere) == folder
    moved.write_text("other bytes")
    assert default_workdir(elsewhere) != folder
    with claim(folder, recipe):
        (folder / "metrics_test.json").write_text("{}")
    before.unlink()
    assert default_workdir(recipe) == folder
    with claim(folder, recipe):  # the same command goes on without the file
        pass
    moved.write_text("these bytes")
    with claim(folder, elsewhere):
        assert read_recipe(folder) == elsewhere
    moved.write_text("other bytes")
    with pytest.raises(UserError, match="belongs to another config"), claim(folder, elsewhere):
        pass


def test_the_config_is_kept_and_the_same_one_may_come_back(tmp_path):
    workdir = tmp_path / "runs" / "a"
    with claim(workdir, config()):
        assert read_recipe(workdir) == config()
    (workdir / "metrics_test.json").write_text("{}")
    with claim(workdir, config(logging__every=7)):
        assert read_recipe(workdir).logging.every == 7
    with claim(workdir, read_recipe(workdir)):
        pass


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "its seed is the default, not 1; use another"),
        ({"optimizer__learning_rate": 0.5}, "its optimizer.learning_rate is the default, not 0.5;"),
        ({"seed": 1, "batch": 8, "sampler": "oversampled"}, "its batch is the default, not 8 and 2 more fields;"),
    ],
)
def test_the_run_of_another_config_is_refused_by_field_and_left_alone(tmp_path, changes, message):
    with claim(tmp_path, config()):
        (tmp_path / "metrics_test.json").write_text("{}")
        (tmp_path / "split.csv").write_text("mine")
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(UserError, match=message), claim(tmp_path, config(**changes)):
        pass
    assert (tmp_path / "config.json").read_bytes() == before
    assert (tmp_path / "split.csv").read_text() == "mine"


def test_a_start_that_never_trained_does_not_bind_the_folder(tmp_path):
    with claim(tmp_path, config()):
        (tmp_path / "split.csv").write_text("the split of the config before")
    with claim(tmp_path, config(seed=1)):
        assert not (tmp_path / "split.csv").exists()
    assert read_recipe(tmp_path).seed == 1


@pytest.mark.parametrize("name", ["holiday.jpg", "notes.tmp", "src/main.py"])
def test_a_foreign_folder_is_refused_and_left_alone(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    first = name.split("/")[0]
    with pytest.raises(UserError, match=rf"is not empty \({first} is in it\) and holds no run of skinjax"):
        claim(tmp_path, config()).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == [first]
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("content", ["", "{", "null", "[]", "\0", "{}", '{"phase_order": ["train"]}', '{"schema": 9}'])
def test_a_foreign_config_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"cannot be read|holds no config|is not a config of skinjax|of skinjax 0.1.0"):
        claim(tmp_path, config()).__enter__()
    assert (tmp_path / "config.json").read_text() == content


@pytest.mark.parametrize("place", ["file/run", "file", "/proc/run"])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"cannot read or write .*(file|/proc/run).*: .*; what was saved is intact"):
        claim(tmp_path / place, config()).__enter__()
    assert (tmp_path / "file").read_text() == "mine"


def test_a_write_that_fails_while_it_is_held_is_one_sentence(tmp_path):
    message = r"cannot read or write .*: No space left on device; what was saved is intact"
    with pytest.raises(UserError, match=message), claim(tmp_path, config()):
        raise OSError(28, "No space left on device")
    with claim(tmp_path, config()):  # and it is free again
        pass


def test_other_errors_pass_and_free_the_folder(tmp_path):
    with pytest.raises(KeyError), claim(tmp_path, config()):
        raise KeyError("x")
    with claim(tmp_path, config()):
        pass


HOLD = """
    import sys, pathlib
    from skinjax.runs.workdir import claim
    from skinjax.recipe import Recipe
    with claim(pathlib.Path(sys.argv[1]), Recipe(name="other")):
        print("held", flush=True)
        sys.stdin.read()
"""


def test_another_process_is_kept_out_until_the_first_one_dies(tmp_path):
    other = Recipe(name="other")
    with claim(tmp_path, other):
        (tmp_path / "split.csv").write_text("mine")
    command = [sys.executable, "-c", textwrap.dedent(HOLD), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        for theirs in (other, config()):
            with pytest.raises(UserError, match=r"another process is running in .*: wait for it or use another"):
                claim(tmp_path, theirs).__enter__()
        assert (tmp_path / "split.csv").read_text() == "mine"
        os.kill(process.pid, signal.SIGKILL)
    with claim(tmp_path, other):
        pass


def test_what_a_killed_run_was_writing_is_swept(tmp_path):
    for name in (".config.json.0123abcd.tmp", ".metrics_test.json.89ef4567.tmp"):
        (tmp_path / name).write_text("{")
    with claim(tmp_path, config()):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "config.json"]


def test_the_environment_can_be_written_down():
    found = json.loads(json.dumps(environment(3, ["cpu:0"])))
    assert (found["seed"], found["devices"]) == (3, ["cpu:0"])
    assert {"skinjax", "jax", "grain"} <= found["packages"].keys()
    assert found["git_revision"] is None or len(found["git_revision"].removesuffix("-dirty")) >= 7


def test_a_folder_with_somebody_elses_config_is_left_alone(tmp_path):
    theirs = {"config.json": '{"architectures": ["Bert"]}', "split.csv": "mine", ".mine.tmp": "mine too"}
    for name, content in theirs.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match="is not a config of skinjax"), claim(tmp_path, config()):
        pass
    for name, content in theirs.items():
        assert (tmp_path / name).read_text() == content
