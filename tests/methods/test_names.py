"""What the names of stages, modules, trunks and groups of depth stand for."""

import pytest

from skinjax.core.errors import UserError
from skinjax.methods.base import Objective
from skinjax.methods.classifier import Classifier
from skinjax.methods.names import accepted_names, addressed
from skinjax.methods.patches import Patches
from skinjax.models.heads.patches import GRU

TWO_TRUNKS = {"backbone/stem": "early", "backbone/features": "late", "tutor/stem": "early", "head": "top", "gru": "top"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("stem", ("backbone/stem", "tutor/stem")),
        ("tutor", ("tutor/stem",)),
        ("tutor/stem", ("tutor/stem",)),
        ("early", ("backbone/stem", "tutor/stem")),
        ("late", ("backbone/features",)),
        ("top", ("head", "gru")),
        ("head", ("head",)),
        ("steam", ()),
    ],
)
def test_a_name_stands_for_a_stage_a_module_a_trunk_or_a_group(name, expected):
    assert addressed(name, TWO_TRUNKS) == expected


def test_every_word_stands_for_something():
    assert accepted_names(TWO_TRUNKS) == (
        *("stem", "features", "head", "gru", "backbone", "tutor", "early", "late", "top"),
        *("backbone/stem", "backbone/features", "tutor/stem"),
    )
    assert all(addressed(word, TWO_TRUNKS) for word in accepted_names(TWO_TRUNKS))


def test_a_phase_freezes_by_groups(make):
    patches = make(Patches, gru=GRU(features=8), join="gru", attention=("features",))
    frozen = Objective(frozen=("late", "top")).resolved(patches, "all").frozen
    assert frozen == ("backbone/stage3", "backbone/features", "head", "attention_features", "gru")
    assert Objective(frozen=("head",)).resolved(patches, "all").frozen == ("head",)
    with pytest.raises(UserError, match="did you mean 'late'"):
        Objective(frozen=("lat",)).resolved(make(Classifier), "all")
