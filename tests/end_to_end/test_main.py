"""`python -m skinjax.main` as a user starts it: to the end, again, stopped, on a full disk, mistyped; and opened."""

import csv
import io
import json
import shutil
import signal
import subprocess

import numpy as np
import pytest

import skinjax
from skinjax import cli
from skinjax.data.dataset import open_dataset
from skinjax.evaluation.predictions import read_predictions
from skinjax.main import main
from skinjax.runs.workdir import read_recipe
from tests.disks import small_disk
from tests.end_to_end.conftest import ROOT, TINY, UNREPORTED


def outcome(process):
    output, errors = process.communicate()
    return process.returncode, output, errors


def results(workdir):
    return {
        path.name: path.read_bytes() for path in workdir.iterdir() if path.name.startswith(("predictions", "metrics_"))
    }


def test_a_run_leaves_every_artefact(tiny_run):
    workdir, output = tiny_run
    assert output.splitlines()[0].startswith("synthetic demo set")
    for part in ("test: ", "95 % interval", "lesion_grouped split"):
        assert part in output
    names = {path.name for path in workdir.iterdir()}
    assert {"config.json", "split.csv", "checkpoints", "metrics.jsonl", "tensorboard", "environment.json"} <= names
    assert {"model.json", "model.safetensors", "report.html"} <= names
    assert output.splitlines()[-1] == f"report in {workdir / 'report.html'}"
    assert "data:image/jpeg" in (workdir / "report.html").read_text(), "photographs of its data set"
    figures = json.loads((workdir / "metrics_test.json").read_text())
    assert figures["protocol"]["split"]["name"] == "lesion_grouped"
    assert figures["protocol"]["synthetic"] is True
    assert figures["macro_recall"]["low"] <= figures["macro_recall"]["value"] <= figures["macro_recall"]["high"]
    split_lines = (workdir / "split.csv").read_text().splitlines()
    tested = sum(line.endswith(",test") for line in split_lines)
    assert len(read_predictions(workdir / "predictions_test.csv")) == tested
    assert tested % 14, "the evaluation should have a ragged tail"


def test_a_finished_run_prints_its_figures_at_once(tiny_run, start):
    workdir, output = tiny_run
    before = results(workdir)
    status, again, errors = outcome(start(*TINY, f"--workdir={workdir}"))
    assert (status, errors) == (0, "")
    assert again[again.index("validation: ") :] == output[output.index("validation: ") :]
    assert results(workdir) == before


@pytest.fixture(scope="module")
def test_photographs(tiny_run, data_dir, tmp_path_factory):
    """The files of the tiny run's test part, in the order of its table."""
    recipe = read_recipe(tiny_run[0])
    dataset = open_dataset(recipe.dataset.name, recipe.dataset.arguments, data_dir)
    record_of = {name: record for record, name in enumerate(dataset.columns["image_id"].tolist())}
    folder = tmp_path_factory.mktemp("photographs")
    names = read_predictions(tiny_run[0] / "predictions_test.csv").image_ids.tolist()
    for name in names:
        (folder / f"{name}.jpg").write_bytes(dataset.encoded(record_of[name]))
    return [folder / f"{name}.jpg" for name in names]


@pytest.fixture
def alone(tiny_run, tmp_path):
    """What is left of the tiny run where only its model is."""
    for name in ("model.json", "model.safetensors"):
        shutil.copy(tiny_run[0] / name, tmp_path)
    return tmp_path


def test_prediction_by_path_is_the_runs_own_table(tiny_run, alone, test_photographs, capsys):
    assert cli.main(["predict", str(alone), *map(str, test_photographs)]) == 0
    predicted = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    with (tiny_run[0] / "predictions_test.csv").open(newline="") as file:
        own = list(csv.DictReader(file))
    assert len(own) > 20
    assert [row["image_id"] for row in predicted] == [row["image_id"] for row in own]
    columns = [name for name in own[0] if name.startswith("p_")]
    here, there = (np.array([[float(row[name]) for name in columns] for row in rows]) for rows in (predicted, own))
    np.testing.assert_allclose(here, there, atol=1e-6)  # another batch may round otherwise


def test_the_loaded_model_is_the_one_that_was_judged(tiny_run, alone, test_photographs):
    model = skinjax.load(alone)
    table = read_predictions(tiny_run[0] / "predictions_test.csv")
    assert model.classes == table.classes
    images = np.stack([model.read(path) for path in test_photographs])
    np.testing.assert_allclose(model.predict(images)["probabilities"], table.probabilities, atol=1e-6)
    assert model.origin["protocol"]["part"] == "train"
    assert model.origin["protocol"]["fingerprint"] == table.protocol["fingerprint"]


def test_a_finished_run_without_its_model_makes_it_again(tiny_run, tmp_path, data_dir, capsys):
    shutil.copytree(tiny_run[0], tmp_path / "run")
    for name in ("model.json", "model.safetensors"):
        (tmp_path / "run" / name).unlink()
    command = [*TINY, f"--workdir={tmp_path / 'run'}", f"--data_dir={data_dir}"]
    assert main(command) == 0, capsys.readouterr().err
    assert "continuing from the checkpoint after 16 steps" in capsys.readouterr().out
    for name in ("model.safetensors", "predictions_test.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tiny_run[0] / name).read_bytes()
    ours, theirs = (json.loads((folder / "model.json").read_text()) for folder in (tmp_path / "run", tiny_run[0]))
    assert ours == theirs


def test_sigterm_saves_and_the_same_command_goes_on(tiny_run, start, tmp_path, data_dir, capsys):
    process = start(*UNREPORTED, f"--workdir={tmp_path}")
    for line in process.stderr:
        if line.startswith("step 6/16"):
            process.send_signal(signal.SIGTERM)
            break
    status, _, errors = outcome(process)
    assert status == 0
    assert "the same command continues" in errors
    assert "Traceback" not in errors
    assert main([*UNREPORTED, f"--workdir={tmp_path}", f"--data_dir={data_dir}"]) == 0
    assert "continuing from the checkpoint" in capsys.readouterr().out
    assert results(tmp_path) == results(tiny_run[0])


def test_a_full_data_folder_leaves_nothing_half_built(capsys, tmp_path):
    with small_disk(tmp_path, "200k"):
        assert main([*TINY, f"--workdir={tmp_path / 'run'}", f"--data_dir={tmp_path / 'data'}"]) == 1
        assert "the disk is full" in capsys.readouterr().err
        assert not list((tmp_path / "data").glob("*synthetic*[!k]"))


def test_a_full_disk_loses_nothing(tiny_run, start, tmp_path, data_dir, capsys):
    with small_disk(tmp_path, "1200k"):
        command = [*TINY, f"--workdir={tmp_path / 'run'}"]
        status, _, errors = outcome(start(*command))
        assert status == 1
        assert "Traceback" not in errors
        message = [line for line in errors.splitlines() if line.startswith("error: ")]
        assert len(message) == 1
        assert "intact" in message[0]
        subprocess.run(["mount", "-o", "remount,size=20m", str(tmp_path)], check=True)
        assert main([*command, f"--data_dir={data_dir}"]) == 0, capsys.readouterr().err
        assert results(tmp_path / "run") == results(tiny_run[0])


CONFIG = f"--config={ROOT / 'configs' / 'cdc.py'}"
BALANCING = f"--config={ROOT / 'configs' / 'balancing.py'}"
PATCHES = f"--config={ROOT / 'configs' / 'patch_attention.py'}"
CONFIG_FILES = {
    "typo.py": """
from skinjax.recipe import defaults
def get_config(c=defaults("a", "b")):
    c.optimzer.name = "adam"
""",
    "setting.py": """
from skinjax.recipe import defaults
def get_config(c=defaults("a", "b")):
    c.sed = 1
    return c
""",
    "nothing.py": "def get_config(): pass",
}
MISTAKES = {
    "no config": ([], "no config is given"),
    "argument": (["--confg=x"], "did you mean '--config'"),
    "config file": (["--config=configs/nothing.py"], "there is no config file 'configs/nothing.py'"),
    "variant": ([CONFIG + ":dmo"], "known: demo, demo_cd, demo_cd_fl, demo_fl, skin198, skin198_cd"),
    "field": ([CONFIG, "--config.seeed=1"], "did you mean 'seed'"),
    "nested field": (
        [CONFIG, "--config.model.backbon=x"],
        "known: backbone, drop_path, dropout, dtype, final_relu",
    ),
    "field of a value": ([CONFIG, "--config.seed.x=1"], "has no field 'x'"),
    "section": ([CONFIG, "--config.loss=focal"], "is a section"),
    "value missing": ([CONFIG, "--config.seed"], "--config.seed=VALUE"),
    "type": ([CONFIG, "--config.batch=0.5"], "a whole number"),
    "method": ([CONFIG, "--config.method.name=cdc"], "known: classifier, decoder_classifier"),
    "backbone": ([CONFIG, "--config.model.backbone=resnet5"], "did you mean 'resnet50'?"),
    "head": ([CONFIG, "--config.model.head=fc"], "known: concat_pool, cosine, fc1024, linear, mlp, original"),
    "dropout": (
        [CONFIG, "--config.model.dropout=1.0"],
        "config.model.dropout is 1.0; it must be a number from 0 to less than 1",
    ),
    "drop path": ([CONFIG, "--config.model.drop_path=0.1"], "drop_path is 0.1 and ResNet has no such rate"),
    "remat": ([CONFIG, "--config.model.remat=('stage4',)"], "resnet_narrow are stem, stage1, stage2, stage3, features"),
    "remat of numbers": (
        [CONFIG, "--config.model.remat=(4,)"],
        "model.remat is (4,); it must be a tuple of names",
    ),
    "loss": ([CONFIG, "--config.loss.name=focl"], "known: balanced_softmax, bce_with_logits, cross_entropy, focal"),
    "class weights": ([CONFIG, "--config.loss.class_weights=inv"], "known: balanced"),
    "sampler": ([CONFIG, "--config.sampler=even"], "known: balanced_batches"),
    "data set": ([CONFIG, "--config.dataset.name=ham"], "known: cifar10, derm7pt"),
    "data set argument": ([CONFIG, "--config.dataset.arguments.imgs=9"], "known: classes"),
    "split": ([CONFIG, "--config.split.protocol=random"], "known: file, image_stratified, lesion_grouped, official"),
    "optimiser": ([CONFIG, "--config.optimizer.name=lion"], "known: adam, adamw, sgd"),
    "schedule": (
        [CONFIG, "--config.phases.train.schedule=cos"],
        "known: constant, cosine, inverse_time, one_cycle, step, warm_restarts",
    ),
    "view": ([CONFIG, "--config.views.train=crops"], "known: downsampling"),
    "normalisation": ([CONFIG, "--config.views.normalisation=mean"], "imagenet"),
    "cache": ([CONFIG, "--config.cache=disk"], "unknown cache 'disk'; known: device, host, none"),
    "metric": ([CONFIG, "--config.evaluations.metric=recall"], "macro_recall"),
    "evaluate": ([CONFIG, "--config.evaluate=newest"], "known: best, last"),
    "phase order": ([CONFIG, "--config.phase_order=('train','train')"], "none twice"),
    "twin": ([CONFIG, "--config.method.twin_batch_norm=none"], "batch_stats_no_update"),
    "typo in a file": (
        ["--config={folder}/typo.py"],
        "line 4: unknown field 'optimzer' (did you mean 'optimizer'?)",
    ),
    "setting in a file": (
        ["--config={folder}/setting.py"],
        "unknown field of config 'sed' (did you mean 'seed'?); known: accumulate",
    ),
    "no ConfigDict": (["--config={folder}/nothing.py"], "gives NoneType, not the ConfigDict of defaults()"),
    "size": ([CONFIG, "--config.views.size=(0,0)"], "a tuple of whole numbers from 1 on, like (8, 8)"),
    "word for a tuple": (
        [CONFIG, "--config.views.corrections=gamma"],
        "config.views.corrections is 'gamma'; it must be a tuple of names from even_illumination",
    ),
    "kernels": (
        [CONFIG, "--config.method.decoder.kernels=(4,)"],
        "a tuple of whole numbers from 1 on",
    ),
    "paddings": ([CONFIG, "--config.method.decoder.paddings=(0,)"], "from 0 on, like (8, 8)"),
    "ema": ([CONFIG, "--config.ema_decay=2.0"], "config.ema_decay is 2.0; it must be a number from 0 to less than 1"),
    "mixup": ([CONFIG, "--config.method.mixup_share=3.0"], "from 0 to 1"),
    "clip": ([CONFIG, "--config.optimizer.clip_norm=-1"], "config.optimizer.clip_norm is -1.0"),
    "log": ([CONFIG, "--config.logging.every=0"], "config.logging.every is 0"),
    "keep": ([CONFIG, "--config.checkpoints.keep=0"], "config.checkpoints.keep is 0"),
    "rows": (
        [CONFIG, "--config.phases.train.learning_rate_multipliers=(('.*','x'),)"],
        "rows of a name and a number",
    ),
    "milestones": (
        [CONFIG, "--config.phases.train.schedule=step", "--config.phases.train.schedule.milestones=('a',)"],
        "it must be a tuple of numbers",
    ),
    "frozen stage": (
        [CONFIG, "--config.phases.train.frozen=('stge1',)"],
        "unknown stage to freeze in phase 'train': 'stge1' (did you mean 'stage1'?); known: backbone, decoder",
    ),
    "phase names": ([CONFIG, "--config.phase_order=(['train'],)"], "must be a tuple of names"),
    "duration": ([CONFIG, "--config.phases.train.duration=1e18"], "duration is 1e+18"),
    "imbalance": ([CONFIG, "--config.dataset.arguments.imbalance=(1,2)"], "imbalance is (1, 2)"),
    "classes": ([CONFIG, "--config.dataset.arguments.classes=seven"], "classes is 'seven'"),
    "crops": ([PATCHES, "--config.views.crops=7"], "7 crops make no square: choose 5 (corners and centre), 4, 9, 16"),
    "grid": ([PATCHES, "--config.views.grid=(3,)"], "config.views.grid is (3,); it must be a tuple of whole numbers"),
    "crops of no room": ([PATCHES, "--config.views.size=(200,96)"], "does not fit in images stored at 180x240"),
    "several patches for one": (
        [CONFIG, "--config.views.train=ordered_crop"],
        "views.train is 'ordered_crop', which shows several patches of an image: set method.name to patches",
    ),
    "attention on one": ([PATCHES, "--config.views.train=multi_crop"], "'pixels' joins the patches of ordered crops"),
    "patch dropout on one": (
        [PATCHES + ":demo_multi_crop", "--config.method.patch_dropout=0.1"],
        "method.patch_dropout needs several patches",
    ),
    "attention": (
        [PATCHES, "--config.method.attention=('end',)"],
        "known: features, pixels, stage1, stage2",
    ),
    "join": ([PATCHES, "--config.method.join=mean"], "known: gru, logits, probabilities, votes"),
    "final relu": ([PATCHES, "--config.model.final_relu=False"], "final_relu is off and resnet_narrow is no DenseNet"),
    "evaluation view": ([PATCHES, "--config.views.evaluation=crops"], "known: centre_crop, ordered_crop, squash"),
    "too large a grid": ([PATCHES, "--config.views.grid=(64,64)"], "views.grid is (64, 64), more than 1024 crops"),
    "a number for a grid": (
        [PATCHES, "--config.views.grid=3"],
        "config.views.grid is 3; it must be a tuple",
    ),
    "attention twice": ([PATCHES, "--config.method.attention=('pixels','pixels')"], "a place is named twice"),
    "averages without probabilities": (
        [BALANCING, "--config.loss.name=bce_with_logits"],
        "averages the patches' probabilities, of which loss.name 'bce_with_logits' has none: set method.join to logits",
    ),
    "margins of no angles": ([BALANCING, "--config.loss.name=ldam"], "set model.head to cosine"),
    "field of a phase's loss": (
        [BALANCING, "--config.phases.train.loss.classweights=inverse"],
        "unknown field of config.phases.train.loss 'classweights' (did you mean 'class_weights'?)",
    ),
    "type in a phase's loss": (
        [BALANCING, "--config.phases.train.loss.gamma=x"],
        "phases.train.loss.gamma is 'x'; it must be a number",
    ),
    "range in a phase's loss": ([BALANCING, "--config.phases.train.loss.tau=-1.0"], "phases.train.loss.tau is -1.0"),
    "scale in a phase's loss": ([BALANCING, "--config.phases.train.loss.scale=1.0"], "set loss.scale alone"),
    "a diagnosis twice": (
        [CONFIG, "--config.loss.diagnosis_factors=(('histo',4.0),('histo',1.0))"],
        "loss.diagnosis_factors has 2 rows for 'histo': keep one of them",
    ),
    "row of a diagnosis": (
        [CONFIG, "--config.loss.diagnosis_factors=(('histo',),)"],
        "it must be rows of a name and a number",
    ),
    "defects without factors": ([CONFIG, "--config.loss.diagnosis_as_released=true"], "set loss.diagnosis_factors"),
    "scope": ([CONFIG, "--config.loss.diagnosis_scope=nevi"], "known: all, benign, nv"),
    "tau": ([CONFIG, "--config.method.logit_adjustment=-101"], "config.method.logit_adjustment is -101"),
    "skin7": ([CONFIG + ":skin7"], "skinjax prepare ham10000"),
    "skin7_vgg16": ([CONFIG + ":skin7_vgg16"], "skinjax prepare ham10000"),
    "skin7_densenet121": ([CONFIG + ":skin7_densenet121"], "skinjax prepare ham10000"),
    "skin7_cd_fl": ([CONFIG + ":skin7_cd_fl"], "skinjax prepare ham10000"),
    "skin198": ([CONFIG + ":skin198"], "SD-198"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(mistake, capsys, tmp_path):
    arguments, expected = MISTAKES[mistake]
    for name, text in CONFIG_FILES.items():
        (tmp_path / name).write_text(text)
    arguments = [argument.replace("{folder}", str(tmp_path)) for argument in arguments]
    assert main([*arguments, f"--workdir={tmp_path / 'run'}", f"--data_dir={tmp_path / 'data'}"]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert expected in errors


TINY_MISTAKES = {
    "drawn validation": (
        ["--config.split.published_validation=trained_on"],
        "and lesion_grouped draws its own: leave it at 'kept'",
    ),
    "diagnosis": (["--config.loss.diagnosis_factors=(('consensus',1.0),)"], "no factor for the diagnoses made by"),
    "fewer images than a batch": (["--config.batch=700"], "fewer than a batch of 700"),
    "best without validation": (
        ["--config.evaluate=best", "--config.split.validation=0.0"],
        "split.validation above 0",
    ),
    "target without validation": (
        ["--config.evaluations.target=0.9", "--config.split.validation=0.0"],
        "evaluations.target needs validation images and this split has none",
    ),
    "snapshots without cycles": (
        ["--config.evaluate=snapshots"],
        "evaluate='snapshots' is of the ends of cycles, and the last phase, 'train', has no whole one",
    ),
    "crop larger than stored": (["--config.views.size=(64,64)"], "does not fit"),
    "multipliers": (["--config.phases.train.learning_rate_multipliers=(('stm',0.1),('.*',1.0))"], "'stm'"),
    "uncovered": (["--config.phases.train.learning_rate_multipliers=(('stem',0.1),)"], "parameters"),
    "all frozen": (
        ["--config.phases.train.frozen=('stem','stage1','stage2','stage3','features','head','decoder')"],
        "freezes every parameter",
    ),
    "diverged": (["--config.optimizer.learning_rate=1e30"], "training diverged at step"),
}


@pytest.mark.parametrize("cache", ["host", "device"])
def test_a_cache_changes_nothing(cache, tiny_run, tmp_path, data_dir):
    assert main([*UNREPORTED, f"--config.cache={cache}", f"--workdir={tmp_path}", f"--data_dir={data_dir}"]) == 0
    assert results(tmp_path) == results(tiny_run[0])
    # It is no part of the run's identity: without it, the same folder holds the same run.
    assert main([*UNREPORTED, f"--workdir={tmp_path}", f"--data_dir={data_dir}"]) == 0


@pytest.mark.parametrize("mistake", TINY_MISTAKES)
def test_a_mistake_found_later_is_one_sentence(mistake, capsys, tmp_path, data_dir):
    changes, expected = TINY_MISTAKES[mistake]
    assert main([*TINY, *changes, f"--workdir={tmp_path / 'run'}", f"--data_dir={data_dir}"]) == 1
    message = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(message) == 1
    assert expected in message[0]


def test_a_foreign_folder_is_left_alone(capsys, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    assert main([*TINY, f"--workdir={tmp_path}", f"--data_dir={tmp_path / 'data'}"]) == 1
    assert "thesis.txt is in it" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_another_config_does_not_take_a_run(capsys, tiny_run, data_dir):
    workdir, _ = tiny_run
    before = results(workdir)
    assert main([*TINY, "--config.seed=5", f"--workdir={workdir}", f"--data_dir={data_dir}"]) == 1
    assert "belongs to another config: its seed is the default, not 5" in capsys.readouterr().err
    assert results(workdir) == before


def test_a_place_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert main([*TINY, f"--workdir={tmp_path / 'file' / 'run'}", f"--data_dir={tmp_path}"]) == 1
    assert capsys.readouterr().err.startswith("error: cannot read or write")


TWO_PHASES = """
from skinjax.recipe import defaults
def get_config():
    c = defaults("two", "phases")
    c.dataset.arguments = {"images": 120, "height": 40, "width": 48}
    c.stored_size.update(height=32, width=32)
    c.views.size = (32, 32)
    c.model.backbone = "resnet_tiny"
    c.batch = 8
    c.split.update(protocol="image_stratified", test=0.3, validation=0.0)
    head = {"frozen": ("stem", "stage1"), "sampler": "balanced_batches", "loss": {"name": "focal", "gamma": 1.0}}
    last = {"duration": 2.0, "unit": "steps", "classes": ("mel", "nv")}
    c.phases = {"head": {"duration": 3.0, "unit": "steps"} | head, "all": last}
    c.phase_order = ("head", "all")
    c.optimizer.weight_decay_multipliers = (("stem", 0.0), (".*", 1.0))
    return c
"""


def test_two_phases_and_curves_of_the_test_part(capsys, tmp_path, data_dir):
    (tmp_path / "two.py").write_text(TWO_PHASES)
    arguments = [f"--config={tmp_path / 'two.py'}", f"--workdir={tmp_path / 'run'}", f"--data_dir={data_dir}"]
    assert main(arguments) == 0, capsys.readouterr().err
    assert "LEAK: " in capsys.readouterr().out
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    curves = [(line["step"], line["phase"]) for line in lines if "test/macro_recall" in line]
    assert curves == [(3, "head"), (5, "all")]
    # The same command on a split that was changed meanwhile is refused.
    split = tmp_path / "run" / "split.csv"
    split.write_text(split.read_text().replace(",test", ",train", 1))
    (tmp_path / "run" / "finished.json").unlink()
    assert main(arguments) == 1
    assert "is not the split of this config and data set any more" in capsys.readouterr().err


def test_help_with_a_config_shows_its_fields(capsys):
    assert main([TINY[0], "--config.method.beta=0.5", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "--config.method.beta=0.5  # a number from 0 to 1000000000" in lines
    assert any(line.startswith("--config.sampler=balanced_batches  # one of balanced_batches, ") for line in lines)
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert "--workdir" in told
    assert "--config.method" not in told
