"""What every test needs: flags that count as parsed (grain reads absl's) and a warm compilation cache."""

import os
import pathlib

import jax
from absl import flags

flags.FLAGS.mark_as_parsed()

CACHE = pathlib.Path(
    os.environ.get("SKINJAX_TEST_CACHE", pathlib.Path(__file__).parent.parent / ".pytest_cache" / "xla")
)
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
