"""Recipes: what a run is, and how flags change it."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.core.settings import Kind as SettingsKind
from skinjax.core.settings import Named, from_plain, number, to_plain
from skinjax.data.sampling import SAMPLERS
from skinjax.data.sampling.samplers import WeightedSettings, natural
from skinjax.images.views import ViewSettings
from skinjax.methods import METHODS, Kind
from skinjax.methods.base import MethodSettings
from skinjax.methods.patches import PatchesSettings
from skinjax.objectives.diagnosis import LossSettings
from skinjax.recipe import Recipe, defaults, load_config
from skinjax.recipe.config_files import with_changes
from skinjax.runs.building import make_phases
from skinjax.training.phases import PhaseSettings


def test_the_default_recipe_differs_from_nothing():
    assert Recipe(name="a", variant="b", cache="host").identity() == {"training": {}, "judging": {}}


def test_what_trains_and_what_judges_are_apart():
    recipe = with_changes(Recipe(), ["seed=3", "evaluate=best", "method.name=patches", "phases.train.warmup=1"])
    assert recipe.identity() == {
        "training": {"method.name": "patches", "phases.train.warmup": 1.0, "seed": 3},
        "judging": {"evaluate": "best"},
    }


def test_snapshots_are_of_whole_cycles_and_a_target_is_reached_within_one():
    told = "evaluations.target may end a run within a cycle and evaluate is 'snapshots': leave one of them out"
    for where in ("evaluations", "phases.train.evaluations"):
        with pytest.raises(UserError, match=told):
            with_changes(Recipe(), ["evaluate=snapshots", f"{where}.target=0.9"])


def test_phases_that_are_not_trained_are_no_part_of_a_run():
    phases = {"train": PhaseSettings(), "never": PhaseSettings(duration=1.0)}
    assert Recipe(phases=phases).identity() == Recipe().identity()


def test_a_new_field_with_a_default_changes_no_identity(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class More(PatchesSettings):
        more: float = number(0.0, 0)

    def changed() -> dict:
        return with_changes(Recipe(), ["method.name=patches", "method.join=votes"]).identity()

    before = changed()
    monkeypatch.setitem(METHODS, "patches", Kind(More, METHODS["patches"].make))
    assert changed() == before
    assert with_changes(Recipe(), ["method.name=patches", "method.join=votes", "method.more=1"]).identity() != before


def test_every_method_and_default_comes_back_from_plain_data():
    for name in METHODS:
        recipe = with_changes(Recipe(), [f"method.name={name}"])
        assert recipe.method.name == name
        assert from_plain(Recipe, to_plain(recipe), "config") == recipe
    assert from_plain(Recipe, defaults("a", "b").to_dict(), "config") == Recipe(name="a", variant="b")


def test_another_method_keeps_the_fields_that_both_have_wherever_its_name_stands():
    changes = ["method.alpha=5", "method.mixup_share=0.7", "method.name=decoder_classifier"]
    method = with_changes(Recipe(), changes).method
    assert (method.name, method.alpha, method.mixup_share) == ("decoder_classifier", 5.0, 0.7)
    plain = with_changes(with_changes(Recipe(), changes), ["method.name=classifier"]).method
    assert plain == MethodSettings(mixup_share=0.7)


def test_a_name_alone_stands_for_a_section_and_has_its_fields_whatever_the_order():
    changes = ["phases.train.schedule.milestones=(3,)", "sampler.weights=column", "sampler=weighted"]
    recipe = with_changes(Recipe(), [*changes, "phases.train.schedule=step", "phases.train.sampler=natural"])
    assert recipe.identity()["training"] == {
        "phases.train.sampler.name": "natural",
        "phases.train.schedule.milestones": (3.0,),
        "phases.train.schedule.name": "step",
        "sampler.name": "weighted",
        "sampler.weights": "column",
    }
    back = with_changes(recipe, ["sampler.name=natural", "phases.train.schedule=constant", "phases.train.sampler=None"])
    assert back == Recipe()
    assert from_plain(Recipe, json.loads(json.dumps(to_plain(recipe))), "config") == recipe


def test_config_files_name_a_section_or_give_its_fields(tmp_path):
    (tmp_path / "own.py").write_text(
        "from skinjax.recipe import defaults\n"
        "def get_config():\n"
        "    config = defaults('own', 'demo')\n"
        "    config.sampler = {'name': 'weighted', 'weights': 'median'}\n"
        "    config.phases.train.schedule = 'cosine'\n"
        "    return config\n"
    )
    recipe = load_config(str(tmp_path / "own.py"), ["phases.train.sampler=oversampled"])
    assert recipe.sampler == WeightedSettings(weights="median")
    assert (recipe.phases["train"].schedule, recipe.phases["train"].sampler) == (Named("cosine"), Named("oversampled"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sampler_weights = 'inverse'", "config 'sampler_weights' (did you mean 'sampler.weights'?)"),
        ("phases.train.milestones = (1.0,)", "config.phases.train 'milestones' (did you mean 'schedule.milestones'?)"),
        ("phases.train = {'factor': 0.5}", "config.phases.train 'factor' (did you mean 'schedule.factor'?)"),
    ],
)
def test_fields_that_became_a_sections_are_told_their_place(tmp_path, line, message):
    program = (
        f"from skinjax.recipe import defaults\ndef get_config(c=defaults('a', 'b')):\n    c.{line}\n    return c\n"
    )
    (tmp_path / "old.py").write_text(program)
    with pytest.raises(UserError) as raised:
        load_config(str(tmp_path / "old.py"))
    assert message in str(raised.value)


def test_a_new_sampler_is_a_function_its_settings_and_a_line(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Some(Named):
        name: str = "some"
        share: float = number(0.5, 0, 1)

    def some(images, settings):
        kept = slice(int(settings.share * len(images.records)))
        return natural(dataclasses.replace(images, records=images.records[kept], labels=images.labels[kept]))

    monkeypatch.setitem(SAMPLERS, "some", SettingsKind(Some, some))
    recipe = with_changes(Recipe(batch=4), ["sampler=some", "sampler.share=0.25"])
    columns = {"label": np.zeros(40, int)}
    dataset = SimpleNamespace(columns=columns, classes=("a",))
    data = SimpleNamespace(dataset=dataset, records={"train": np.arange(40)}, others={})
    assert make_phases(recipe, data)[0].sampler.epoch_length == 10
    with pytest.raises(UserError, match=r"unknown field of config.sampler 'shar' \(did you mean 'share'\?\)"):
        with_changes(Recipe(), ["sampler=some", "sampler.shar=1"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("phases.train.sampler.weights=none", "config.phases.train.sampler has no name, which decides what fields"),
        ("sampler=wieghted", "unknown sampler 'wieghted' (did you mean 'weighted'?)"),
        ("sampler=None", "config.sampler is None; it must be a name, or a section with a name"),
        ("phases.train.schedule.factor=2", "unknown field of config.phases.train.schedule 'factor'"),
        ("phases.train.loss.gamma=9999", "config.phases.train.loss.gamma is 9999"),
        ("phases.trian.warmup=1", "unknown field of config.phases 'trian' (did you mean 'train'?)"),
        ("views=squash", "views is a section; set one of its fields: corrections, crops"),
        ("seed.x=1", "seed is a value and has no field 'x'"),
        ("dataset.arguments=3", "dataset.arguments is a section"),
        ("model.weights_sha256=abc", "config.model.weights_sha256 is 'abc'; it must be the 64 hex digits of a sha256"),
        ("views.normalisation=weights", "config.views.normalisation is 'weights': set model.weights too"),
        ("phase_order=()", "phase_order is (); it must name at least one phase"),
        (
            "phases.train.terms.l_r=hot",
            "config.phases.train.terms is {'l_r': 'hot'}; it must be names with a number each",
        ),
        ("phases.train.loss.name=ldam", "takes margins off cosines: set model.head to cosine"),
    ],
)
def test_a_mistaken_flag_is_told(change, message):
    with pytest.raises(UserError) as raised:
        with_changes(Recipe(), [change])
    assert message in str(raised.value)


def test_a_config_file_of_version_0_1_0_is_told_the_new_import(tmp_path):
    (tmp_path / "old.py").write_text("from skinjax.defaults import defaults, phase\n")
    with pytest.raises(
        UserError, match=r"old.py, line 1: skinjax.defaults has moved: write `from skinjax.recipe import"
    ):
        load_config(str(tmp_path / "old.py"))


def test_arguments_of_a_data_set_are_what_they_read_as():
    arguments = with_changes(Recipe(), ["dataset.arguments.images=70", "dataset.arguments.imbalance=x"]).dataset
    assert arguments.arguments == {"images": 70, "imbalance": "x"}


def test_the_first_phase_has_no_best_state_to_begin_from():
    with pytest.raises(UserError, match=r"config.phases.train.begin is 'best' and no phase comes before it"):
        Recipe(phases={"train": PhaseSettings(begin="best")})


def test_a_misspelt_phase_is_told():
    phases = {"train": PhaseSettings(), "trian": PhaseSettings(duration=3)}
    with pytest.raises(UserError, match=r"unknown phase in phase_order: 'trian' .did you mean 'train'"):
        Recipe(phases=phases)


def test_what_a_phase_has_as_the_run_has_it_is_no_change():
    own = PhaseSettings(loss={"gamma": 2.0}, evaluations={"metric": "macro_recall"}, checkpoints={"every": 3.0})
    assert Recipe(phases={"train": own}).identity() == Recipe().identity()
    changed = Recipe(phases={"train": own}, loss=LossSettings(gamma=1.0)).identity()["training"]
    assert changed == {"loss.gamma": 1.0, "phases.train.loss": {"gamma": 2.0}}


@pytest.mark.parametrize("section", ["model", "views", "loss", "split", "stored_size"])
def test_a_section_is_a_section(section):
    with pytest.raises(UserError, match=f"^config.{section} is None; it must be a section with fields"):
        from_plain(Recipe, {section: None}, "config")
    with pytest.raises(UserError, match=f"{section} is 'focal'; it must be a section with fields"):
        Recipe(**{section: "focal"})


def test_a_phase_that_the_order_leaves_out_is_told():
    phases = {"head": PhaseSettings(duration=3), "all": PhaseSettings(duration=5), "train": PhaseSettings()}
    recipe = Recipe(phases=phases, phase_order=("head",))
    assert list(recipe.remarks()) == ["phase all is not in phase_order: it is not trained"]


def test_a_sampler_that_no_phase_uses_is_told():
    phases = {"train": PhaseSettings(sampler="oversampled")}
    told = Recipe(sampler="weighted", phases=phases).remarks()
    assert list(told) == ["every phase has a sampler of its own: the run's, weighted, is not used"]
    both = phases | {"last": PhaseSettings()}
    assert not list(Recipe(sampler="weighted", phases=both, phase_order=("train", "last")).remarks())


PLAIN_VIEWS = ViewSettings(train="none")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, r"views.train 'plain' does not show pictures as views.evaluation 'squash'"),
        (
            {"views": ViewSettings(train="none", evaluation="centre_crop")},
            r"views.train 'none' does not show pictures as views.evaluation 'centre_crop'",
        ),
        ({"views": PLAIN_VIEWS, "method": MethodSettings(mixup_beta=0.4)}, "mixup blends pictures anew"),
    ],
)
def test_stored_features_are_of_pictures_that_stay_the_same(fields, reason):
    head = PhaseSettings(features="stored")
    message = rf"phase 'head' trains on stored features, and {reason}: set phases.head.augment to False, for pictures"
    with pytest.raises(UserError, match=message):
        Recipe(phases={"head": head}, phase_order=("head",), **fields)
    Recipe(phases={"head": head.replace(augment=False)}, phase_order=("head",), **fields)


def test_stored_features_of_a_view_that_draws_nothing_need_no_word():
    recipe = Recipe(phases={"train": PhaseSettings(features="stored")}, views=PLAIN_VIEWS)
    objective = recipe.objective_of(recipe.phases["train"])
    assert (objective.augment, objective.stored_features) == (True, True)
    assert recipe.identity()["training"] == {"phases.train.features": "stored", "views.train": "none"}
