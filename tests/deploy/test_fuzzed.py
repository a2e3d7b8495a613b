"""Property-based: whatever bytes come, readers give an answer or one sentence, and what is written is read again."""

import contextlib
import json

import fuzz
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skinjax.core.errors import UserError
from skinjax.core.settings import from_plain, to_plain
from skinjax.deploy.decisions import Decisions, entropy, sets
from skinjax.deploy.manifest import Manifest, Network
from skinjax.deploy.overlays import unique_names

NAMES = st.lists(  # of classes
    st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20),
    min_size=2,
    max_size=5,
    unique=True,
)
MANY, FEW = settings(max_examples=300, deadline=None, derandomize=True), settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    with contextlib.ExitStack() as held:
        yield fuzz.images(tmp_path_factory.mktemp("images"), held)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    with contextlib.ExitStack() as held:
        yield fuzz.bundles(tmp_path_factory.mktemp("bundles"), held)


def told(target, seed):
    make, attempt = target
    said = ""
    try:
        attempt(make(np.random.default_rng(seed)))
    except UserError as error:
        said = str(error)
    assert "\n" not in said


@MANY
@given(seed=st.integers(0, 2**32))
def test_any_picture_is_read_or_refused_in_a_sentence(images, seed):
    told(images, seed)


@settings(FEW, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_any_bundle_is_read_or_refused_in_a_sentence(bundles, seed):
    told(bundles, seed)


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    with contextlib.ExitStack() as held:
        yield fuzz.http(tmp_path_factory.mktemp("http"), held)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_any_request_is_answered_or_refused(http, seed):
    told(http, seed)


@MANY
@given(names=NAMES, temperature=st.floats(0.05, 20), shares=st.floats(1e-6, 1))
def test_a_manifest_survives_being_written(names, temperature, shares):
    decisions = Decisions(temperature=temperature, usual=(shares,) * len(names))
    manifest = Manifest(classes=tuple(names), networks={"0": Network()}, decisions=decisions)
    again = from_plain(Manifest, json.loads(json.dumps(to_plain(manifest))), "bundle.json")
    assert again == manifest


@MANY
@given(paths=st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=6))
def test_every_path_has_a_file_name_of_its_own(paths):
    names = unique_names(paths)
    assert len(set(names.values())) == len(set(paths))
    assert all("/" not in name and name not in (".", "..") for name in names.values())


@MANY
@given(st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(sum))
def test_undecided_is_from_zero_to_one_and_sets_grow_with_their_limits(row):
    probabilities = np.array([row]) / sum(row)
    assert -1e-9 <= entropy(probabilities)[0] <= 1 + 1e-9
    small, large = (sets(Decisions(farthest=(limit,) * 3), probabilities) for limit in (0.5, 0.9))
    assert (small <= large).all()
