"""Where the output of a command goes: a full disk and a terminal that lacks letters are no reason for a traceback."""

import os
import subprocess
import sys

import pytest
from safetensors.numpy import save_file

from tests.models.pretrained.test_mapping import tensors_of


def skinjax(*arguments, **options):
    """The finished process of `skinjax ARGUMENTS`, in a terminal of the 1970s."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "skinjax.cli", *arguments]
    return subprocess.run(command, env=environment, stderr=subprocess.PIPE, **options)


def test_letters_that_a_terminal_lacks_are_written_as_their_numbers(tmp_path):
    save_file(tensors_of("resnet_tiny"), tmp_path / "tïny.safetensors", {"architecture": "resnet_tiny"})
    ran = skinjax("weights", "inspect", "tïny.safetensors", cwd=tmp_path, stdout=subprocess.PIPE)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.startswith((b"t\\xefny.safetensors: ", b"t\\udcc3\\udcafny.safetensors: "))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_output_to_a_full_disk_is_one_sentence(tmp_path):
    with open("/dev/full", "wb") as full:
        ran = skinjax("weights", "list", "vgg", f"--data_dir={tmp_path}", stdout=full)
    assert ran.returncode == 1
    assert ran.stderr == b"error: cannot write: No space left on device; make room and start the same command again\n"
