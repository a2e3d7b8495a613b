"""What a training step says to other devices, read from its compiled program, and what that costs on more of them.

    python tools/benchmark_scaling.py [--devices=2,8] [--step_ms=50,100,200] [--config=...] [--config.FIELD=VALUE ...]

Each number of devices is simulated by a process of its own, with as many images for each. Collectives are counted in
bytes: one all-reduce of the gradients, and what BatchNorm needs to see the whole batch. The model below it: a ring
moves 2 (n - 1) / n of the bytes through each device, at the rate of LINKS and with nothing hidden behind computation,
so that the efficiency is a lower bound; it is told for several times of a step on one device, of which
tools/benchmark_train.py measures yours.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys

import jax
from benchmark_train import prepare

from skinjax.data.dataset import data_root
from skinjax.recipe.config_files import load_config

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "collective-permute", "all-to-all")
SIZES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8, "f64": 8}
# (devices, bytes a second into a device, its vendor's figure of one direction)
LINKS = {"8 GPUs, NVLink of an H200": (8, 450e9), "v5e-64, 2D torus": (64, 100e9)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/baselines.py")
    parser.add_argument("--data_dir")
    parser.add_argument("--devices", default="2,8")
    parser.add_argument("--each", type=int, default=4, help="images of the batch for each simulated device")
    parser.add_argument("--step_ms", default="50,100,200")
    parser.add_argument("--in_process", action="store_true", help=argparse.SUPPRESS)
    options, changes = parser.parse_known_args()
    if options.in_process:
        print(json.dumps(measured(options, changes)))
        return
    found = {}
    for devices in map(int, options.devices.split(",")):
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
        command = [sys.executable, __file__, *sys.argv[1:], "--in_process"]
        environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        found[devices] = json.loads(done.stdout.splitlines()[-1])
    print(
        "| devices | parameters, MB | all-reduce, MB | in how many | BatchNorm's statistics, MB | other collectives |"
    )
    print("|---|---|---|---|---|---|")
    for devices, of in found.items():
        reduced = of["all-reduce"]["bytes"]
        others = ", ".join(f"{of[kind]['count']} {kind}" for kind in KINDS[1:] if of[kind]["count"]) or "none"
        beside = (reduced - of["parameters"]) / 1e6
        count = of["all-reduce"]["count"]
        print(f"| {devices} | {of['parameters'] / 1e6:.1f} | {reduced / 1e6:.1f} | {count} | {beside:.2f} | {others} |")
    moved = max(of["all-reduce"]["bytes"] for of in found.values())
    print("\n| step on one device, ms |", " | ".join(f"{name}: ms beside it, efficiency" for name in LINKS), "|")
    print("|---|" + "---|" * len(LINKS))
    for step in map(float, options.step_ms.split(",")):
        cells = []
        for devices, rate in LINKS.values():
            beside = 1000 * 2 * (devices - 1) / devices * moved / rate
            cells.append(f"{beside:.2f}, {100 * step / (step + beside):.1f} %")
        print(f"| {step:g} | {' | '.join(cells)} |")


def measured(options: argparse.Namespace, changes: list[str]) -> dict:
    """Bytes and number of each kind of collective in the compiled step, and the bytes of the parameters."""
    fields = [change.removeprefix("--config.") for change in changes]
    config = load_config(options.config, [*fields, f"batch={options.each * jax.device_count()}"])
    made = prepare(config, data_root(options.data_dir), 1)
    return {
        **{kind: collectives(made.compiled.as_text(), kind) for kind in KINDS},
        "parameters": sum(leaf.nbytes for leaf in jax.tree.leaves(made.state.variables["params"])),
    }


def collectives(program: str, kind: str) -> dict[str, int]:
    """How many collectives of a kind a program has, and the bytes that they give."""
    found = re.findall(rf"= (\(.*?\)|\S+) {kind}(?:-start)?\(", program)
    arrays = [re.findall(r"(\w+)\[([\d,]*)\]", shapes) for shapes in found]
    sizes = (SIZES[kind] * math.prod(map(int, filter(None, shape.split(",")))) for of in arrays for kind, shape in of)
    return {"count": len(found), "bytes": sum(sizes)}


if __name__ == "__main__":
    main()
