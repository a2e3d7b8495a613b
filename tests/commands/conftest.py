"""The bundle of the tests of deploy."""

from tests.deploy.conftest import bundle_file, model

__all__ = ["bundle_file", "model"]
