"""What every test needs: flags that count as parsed (grain reads absl's) and a warm compilation cache."""

import gc
import importlib.metadata
import os
import pathlib

from absl import flags

flags.FLAGS.mark_as_parsed()

# Tracing makes objects by the hundred thousand, nearly all of which live on: to look for rings among them less often
# saves a test of a network a tenth of its time.
gc.set_threshold(50_000, 20, 20)

# Read by jax when it is imported, here and in the processes that tests start.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(pathlib.Path(__file__).parent.parent / ".pytest_cache" / "xla"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")
# Small programs, most of them run once: compiled sooner, not the fastest. XLA's older emitters of fused loops, which
# releases after jax 0.10 no longer have, take a third of the time of its newer ones.
OLD_EMITTERS = tuple(map(int, importlib.metadata.version("jaxlib").split(".")[:2])) < (0, 11)
os.environ["XLA_FLAGS"] = " ".join(
    (
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
        "--xla_cpu_parallel_codegen_split_count=1",  # the other processor has tests of its own
        *(("--xla_cpu_use_fusion_emitters=false",) if OLD_EMITTERS else ()),
    )
)
