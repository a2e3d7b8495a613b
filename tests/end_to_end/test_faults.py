"""A tiny run killed at random moments ends like one left alone; tools/fault_injection.py does the full one."""

import os
import subprocess
import sys

from tests.end_to_end.conftest import ROOT, SMALL


def test_killed_runs_end_bit_identical(tmp_path):
    tool = [sys.executable, str(ROOT / "tools" / "fault_injection.py"), f"--folder={tmp_path}", "--kills=3", "--seed=1"]
    # Both runs compile for themselves, so that kills fall into compilation and into writing its cache.
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    config = f"--config={ROOT / 'configs' / 'baselines.py'}"
    done = subprocess.run([*tool, config, *SMALL], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bit-identical predictions, figures and state" in done.stdout
