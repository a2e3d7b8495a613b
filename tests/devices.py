"""Several devices where there is one processor."""

import os


def environment_of_devices(count: int) -> dict[str, str]:
    """For a process that shall see `count` devices, all of them this processor."""
    flags = (
        f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={count} "
        "--xla_cpu_collective_call_terminate_timeout_seconds=600"  # a busy machine may let one device wait
    )
    return os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
