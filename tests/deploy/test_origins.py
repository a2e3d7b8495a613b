"""Whoever opens a network is told what it is not for, and licences that bind its use."""

import dataclasses

from skinjax.deploy.predictor import open_predictor
from skinjax.model import write_model
from tests.test_model import drawn


def test_a_run_names_the_licences_of_its_data_and_of_all_weights_that_it_began_from(tmp_path, monkeypatch):
    monkeypatch.setenv("SKINJAX_DATA", str(tmp_path / "data"))
    older = {"source": "/home/me/first.safetensors", "facts": {"licence": "cc-by-nc-4.0"}}
    weights = {"source": "/home/me/run", "facts": {"licence": "apache-2.0"}, "weights": older}
    protocol = {"dataset": "ham10000", "weights": weights}
    write_model(tmp_path, dataclasses.replace(drawn(), origin={"protocol": protocol}))
    told = []
    open_predictor(tmp_path, say=told.append)
    assert told == [
        "Research use only, not a medical device.",
        "Made from ham10000 (CC BY-NC 4.0): no commercial use without leave; first.safetensors (cc-by-nc-4.0): no "
        "commercial use without leave.",
    ]
