"""What every test needs: flags that count as parsed (grain reads absl's) and a warm compilation cache."""

import os
import pathlib

from absl import flags

flags.FLAGS.mark_as_parsed()

# Read by jax when it is imported, here and in the processes that tests start.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(pathlib.Path(__file__).parent.parent / ".pytest_cache" / "xla"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")
# Small programs, most of them run once: compiled sooner, not the fastest. XLA's older emitters of fused loops take a
# third of the time of its newer ones.
FLAGS = (
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_use_fusion_emitters=false",
)
os.environ["XLA_FLAGS"] = " ".join(FLAGS)
