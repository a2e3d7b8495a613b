"""How fast the backbones are, and PyTorch's beside them: forward, training step, compiling, memory, images per second.

    python tools/benchmark_models.py [NAME ...] [--all] [--size=224] [--batch=8] [--dtype=float32] [--threads=2]
                                     [--pytorch=eager] [--out=FILE.csv] [--markdown]

"forward" is a jitted pass in evaluation mode. "training" is a jitted step with donated state: forward, backward,
cross-entropy over 1,000 classes, SGD with momentum, BatchNorm statistics, nothing dropped. Weights are random, the
images are the same and lie on the device. PyTorch's network is the one that our goldens are made from, channels_last,
compiled on a GPU, eager on a CPU (--pytorch), under autocast where --dtype is bfloat16; it needs torch, timm and
torchvision and is left out where they are not installed.

Each measurement has a process for each program, both held to --threads cores, and they take turns when they are warm.
Printed are the median and quartiles of the turns' time of a step, the median of the ratios within a turn (below 1
skinjax is faster), the time to compile from nothing, and the peak memory while running: on a CPU that of the process
beyond what it held with its libraries loaded, with the programs and what else compiling did not free; on a GPU what
each library's own allocator counted. --remat names stages of ours that compute again what they would keep, "all" every
one.

With --out a row is written after each measurement and those already there are not measured again, so that a run may be
stopped and started again. --markdown prints the table of docs/performance.md. Needs Linux; five minutes for resnet50
on 2 cores.
"""

import argparse
import collections
import csv
import ctypes
import dataclasses
import importlib.metadata
import importlib.util
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from skinjax.core.errors import UserError, lookup

TARGETS = ("resnet50", "mobilenetv2_100", "efficientnet_b0", "densenet121", "seresnext50_32x4d")
PASSES = ("forward", "training")
CLASSES = 1000
LEARNING_RATE, MOMENTUM = 1e-3, 0.9
TURN_SECONDS = 0.2  # a turn is one step, or as many as take so long
PAUSE_SECONDS = 0.05  # before a turn, because the other program's threads spin for some milliseconds before they sleep
FEWEST_TURNS = 5
PROCESSES = multiprocessing.get_context("spawn")  # jax's threads do not survive a fork
T = TypeVar("T")


class Machine(NamedTuple):
    """Where and with what is measured."""

    platform: str  # cpu, gpu or tpu
    device: str
    versions: str


@dataclasses.dataclass(frozen=True)
class Task:
    """What is measured: two rows of a file that agree in this are the same measurement."""

    network: str
    measured: str
    size: int
    batch: int
    dtype: str
    remat: str  # names of stages, or nothing
    pytorch: str  # eager, compile or none
    platform: str
    device: str
    threads: int


PROGRAMS = ("skinjax", "PyTorch")
FIGURES = ("median_s", "lower_quartile_s", "upper_quartile_s", "images_per_s", "compile_s", "peak_mb")
COLUMNS = (
    *(field.name for field in dataclasses.fields(Task)),
    "turns",
    *(f"{program} {figure}" for program in PROGRAMS for figure in FIGURES),
    "ratio",
    "versions",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=TARGETS, metavar="NAME")
    parser.add_argument("--all", action="store_true", help="every registered backbone")
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=PASSES)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="default: float32 on a CPU, else bfloat16")
    parser.add_argument("--remat", nargs="+", default=[], metavar="STAGE")
    parser.add_argument("--pytorch", choices=("eager", "compile", "none"))
    parser.add_argument("--threads", type=int, default=len(usable_cores()))
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300, help=f"ends a measurement after {FEWEST_TURNS} turns")
    parser.add_argument("--out", type=Path, metavar="FILE.csv")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    try:
        remat = check_names(options)
        known = read(options.out)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
    if options.threads < len(usable_cores()):
        os.sched_setaffinity(0, usable_cores()[: options.threads])  # from which XLA takes its number of threads
    machine = in_new_process(describe)
    heading = f"{machine.device}, {options.threads} threads, load {os.getloadavg()[0]:.1f}; {machine.versions}"
    print(heading, flush=True)
    rows, failed = [], []
    for task in make_tasks(options, remat, machine):
        row = next((row for row in known if matches(row, task)), None)
        if row is None:
            try:
                row = measure(task, options.turns, options.seconds) | {"versions": machine.versions}
            except (EOFError, ConnectionError):  # its process has printed why it ended
                failed.append(f"{task.network}, {task.measured}")
                continue
            write(options.out, row)
        rows.append(row)
        print(line(row), flush=True)
    if options.markdown:
        print(f"\n{heading}\n\n{markdown(rows)}")
    if failed:
        raise SystemExit(f"not measured: {'; '.join(failed)}")


def usable_cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def check_names(options: argparse.Namespace) -> dict[str, str]:
    """The backbones to measure and, of each, the stages to recompute."""
    from skinjax.models import BACKBONES, make_backbone

    remat = {}
    for name in sorted(BACKBONES) if options.all else options.names:
        lookup("backbone", name, BACKBONES)
        stages = make_backbone(name).stages
        for stage in set(options.remat) - {"all"}:
            lookup(f"stage of {name}", stage, dict.fromkeys(stages))
        remat[name] = " ".join(stages if "all" in options.remat else options.remat)
    return remat


def make_tasks(options: argparse.Namespace, remat: dict[str, str], machine: Machine) -> list[Task]:
    on_cpu = machine.platform == "cpu"
    pytorch, referenced = options.pytorch or ("eager" if on_cpu else "compile"), ()
    if pytorch != "none":
        if all(map(importlib.util.find_spec, ("torch", "timm", "torchvision"))):
            referenced = in_new_process(names_of_references)
        else:
            print("without PyTorch: torch, timm or torchvision is not installed")
    return [
        Task(
            name,
            measured,
            options.size,
            options.batch,
            options.dtype or ("float32" if on_cpu else "bfloat16"),
            remat[name] if measured == "training" else "",
            pytorch if name in referenced else "none",
            machine.platform,
            machine.device,
            options.threads,
        )
        for name in remat
        for measured in options.passes
    ]


def in_new_process(function: Callable[[], T]) -> T:
    """The function's answer from a process of its own, so that this one holds neither a library nor a device."""
    with ProcessPoolExecutor(1, PROCESSES) as pool:
        return pool.submit(function).result()


def describe() -> Machine:
    import jax

    device = jax.devices()[0]
    name = device.device_kind
    if device.platform == "cpu":
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "processor")
        name = f"{os.cpu_count()} cores of {model}"
    versions = [f"Python {platform.python_version()}"]
    for package in ("jax", "jaxlib", "torch", "timm"):
        if importlib.util.find_spec(package):
            versions.append(f"{package} {importlib.metadata.version(package)}")
    return Machine(device.platform, name, ", ".join(versions))


def names_of_references() -> tuple[str, ...]:
    from make_parity_goldens import REFERENCES

    return tuple(REFERENCES)


def measure(task: Task, turns: int, seconds: float) -> dict[str, Any]:
    """A row: each program builds its network alone, then they take turns."""
    programs: list[Worker] = []
    try:
        for name in PROGRAMS if task.pytorch != "none" else PROGRAMS[:1]:
            programs.append(Worker(name, task))
        taken = take_turns(programs, turns, seconds)
        row: dict[str, Any] = dataclasses.asdict(task) | {"turns": len(taken[0])}
        for program, seconds in zip(programs, taken, strict=True):
            lower, median, upper = statistics.quantiles(seconds, n=4, method="inclusive")
            figures = (median, lower, upper, task.batch / median, program.compile_seconds, program.peak_memory())
            row |= {f"{program.name} {figure}": f"{x:.4g}" for figure, x in zip(FIGURES, figures, strict=True) if x}
    finally:
        for program in programs:
            program.process.terminate()
            program.process.join()
    if len(programs) > 1:
        row["ratio"] = f"{statistics.median(a / b for a, b in zip(*taken, strict=True)):.3f}"
    return row


def take_turns(programs: Sequence["Worker"], turns: int, seconds: float) -> list[list[float]]:
    """For each program the seconds of a step in every turn."""
    steps = [max(1, round(TURN_SECONDS / program.run(1))) for program in programs]
    taken: list[list[float]] = [[] for _ in programs]
    start = time.monotonic()
    while len(taken[0]) < turns and (len(taken[0]) < FEWEST_TURNS or time.monotonic() - start < seconds):
        for program, number, turns_taken in zip(programs, steps, taken, strict=True):
            time.sleep(PAUSE_SECONDS)
            turns_taken.append(program.run(number))
    return taken


class Worker:
    """A process that holds one network of one program, warm."""

    def __init__(self, name: str, task: Task):
        self.name = name
        self.connection, other = PROCESSES.Pipe()
        self.process = PROCESSES.Process(target=work, args=(other, name, task), daemon=True)
        self.process.start()
        other.close()  # so that nobody waits for a process that has ended
        self.compile_seconds: float = self.connection.recv()

    def run(self, steps: int) -> float:
        """Seconds of each of so many steps."""
        self.connection.send(steps)
        return self.connection.recv() / steps

    def peak_memory(self) -> float:
        """In megabytes; the last question that it answers."""
        self.connection.send(0)
        return self.connection.recv()


def work(connection: Any, name: str, task: Task) -> None:
    """In the process: build and warm up, then run as many steps as asked for until none are."""
    program: Skinjax | PyTorch = {"skinjax": Skinjax, "PyTorch": PyTorch}[name](task)
    idle = resident("VmRSS")
    compile_seconds = program.build(task)
    program.run(2)
    ctypes.CDLL(None).malloc_trim(0)  # gives back what building freed,
    Path("/proc/self/clear_refs").write_text("5")  # forgets its peak
    program.forget_peak()
    connection.send(compile_seconds)
    while steps := connection.recv():
        start = time.perf_counter()
        program.run(steps)
        connection.send(time.perf_counter() - start)
    on_device = program.peak_on_device()
    connection.send(resident("VmHWM") - idle if on_device is None else on_device)


def resident(kind: str) -> float:
    """A line of /proc/self/status in megabytes: VmRSS is now, VmHWM was the most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(kind))


def inputs(task: Task) -> tuple[Any, Any]:
    """Images [batch, size, size, 3] and labels [batch], the same for both programs."""
    import numpy as np

    draws = np.random.default_rng(0)
    images = draws.standard_normal((task.batch, task.size, task.size, 3), np.float32)
    return images, draws.integers(CLASSES, size=task.batch, dtype=np.int32)


class Skinjax:
    """Our network on the first device."""

    def __init__(self, task: Task):
        if task.platform == "gpu":
            os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # PyTorch's process needs memory too
        import jax

        for library in ("optax", "parity"):
            importlib.import_module(library)
        jax.config.update("jax_enable_compilation_cache", False)
        self.device = jax.devices()[0]

    def build(self, task: Task) -> float:
        """Compile and put everything on the device; the seconds of tracing and compiling."""
        import jax
        import jax.numpy as jnp
        import optax
        from parity import without_dropping

        from skinjax.models import make_backbone
        from skinjax.models.layers import compiler_options

        dtype = jnp.bfloat16 if task.dtype == "bfloat16" else None
        backbone = without_dropping(make_backbone(task.network, dtype)).clone(remat=tuple(task.remat.split()))
        head = without_dropping(backbone.original_head(CLASSES))
        optimizer = optax.sgd(LEARNING_RATE, MOMENTUM)

        def initial(images):
            maps, variables = backbone.init_with_output(jax.random.key(0), images, train=False)
            modules = variables, head.init(jax.random.key(0), maps["features"])
            return [[module.get(collection, {}) for module in modules] for collection in ("params", "batch_stats")]

        def logits(params, stats, images, train):
            of_backbone, of_head = ({"params": p, "batch_stats": s} for p, s in zip(params, stats, strict=True))
            maps, backbone_stats = backbone.apply(of_backbone, images, train=train, mutable=["batch_stats"])
            values, head_stats = head.apply(of_head, maps["features"], train=train, mutable=["batch_stats"])
            return values, [stats.get("batch_stats", {}) for stats in (backbone_stats, head_stats)]

        def forward(state, images, labels):
            del labels
            return logits(*state, images, train=False)[0]

        def training(state, images, labels):
            params, stats, moments = state

            def loss_of(params):
                values, updated = logits(params, stats, images, train=True)
                return optax.softmax_cross_entropy_with_integer_labels(values, labels).mean(), updated

            gradient, stats = jax.grad(loss_of, has_aux=True)(params)
            updates, moments = optimizer.update(gradient, moments)
            return optax.apply_updates(params, updates), stats, moments

        given = jax.device_put(inputs(task), self.device)
        state = jax.device_put(random_values(jax.eval_shape(initial, given[0])), self.device)
        if task.measured == "training":
            state = (*state, optimizer.init(state[0]))
        start = time.perf_counter()
        if task.measured == "training":
            lowered = jax.jit(training, donate_argnums=0).lower(state, *given)
            compiled = lowered.compile(compiler_options(backbone.remat))
        else:
            compiled = jax.jit(forward).lower(state, *given).compile(compiler_options())
        seconds = time.perf_counter() - start

        def run(steps: int) -> None:
            nonlocal state
            for _ in range(steps):
                result = compiled(state, *given)
                state = result if task.measured == "training" else state
            jax.block_until_ready(result)

        self.run = run
        return seconds

    def forget_peak(self) -> None:
        """jax cannot: on a GPU the compiler's trials are in the peak."""

    def peak_on_device(self) -> float | None:
        return None if self.device.platform == "cpu" else self.device.memory_stats()["peak_bytes_in_use"] / 1e6


def random_values(shapes: Any) -> Any:
    """Variables of these shapes: kernels of Kaiming's deviation, biases and means zero, scales and variances one."""
    import jax
    import numpy as np

    draws = np.random.default_rng(0)

    def value(path, like):
        if like.ndim > 1:
            return draws.standard_normal(like.shape, np.float32) * np.float32((2 / np.prod(like.shape[:-1])) ** 0.5)
        return np.full(like.shape, path[-1].key not in ("bias", "mean"), np.float32)

    return jax.tree_util.tree_map_with_path(value, shapes)


class PyTorch:
    """The network that our goldens are made from, on the same kind of device."""

    def __init__(self, task: Task):
        import torch

        importlib.import_module("make_parity_goldens")
        self.cuda = torch.cuda if task.platform == "gpu" else None
        torch.set_num_threads(task.threads)
        torch.ones(()).to("cuda" if self.cuda else "cpu")
        if self.cuda:
            torch.backends.cudnn.benchmark = True  # XLA tries algorithms too
            torch.set_float32_matmul_precision("high")  # XLA's default

    def build(self, task: Task) -> float:
        """Put everything on the device; the seconds of the first step where it compiles."""
        import torch
        from make_parity_goldens import reference

        device = "cuda" if self.cuda else "cpu"
        model = reference(task.network, CLASSES)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        model = model.to(device, memory_format=torch.channels_last).train(task.measured == "training")
        images, labels = (torch.from_numpy(x).to(device) for x in inputs(task))
        images, labels = images.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last), labels.long()
        optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, MOMENTUM, fused=self.cuda is not None)
        network = torch.compile(model) if task.pytorch == "compile" else model
        autocast = torch.autocast(device, torch.bfloat16, enabled=task.dtype == "bfloat16")

        def forward() -> None:
            with torch.inference_mode(), autocast:
                network(images)

        def training() -> None:
            optimizer.zero_grad()
            with autocast:
                loss = torch.nn.functional.cross_entropy(network(images), labels)
            loss.backward()
            optimizer.step()

        self.step = {"forward": forward, "training": training}[task.measured]
        start = time.perf_counter()
        self.run(1)
        return time.perf_counter() - start if task.pytorch == "compile" else 0.0

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()
        if self.cuda:
            self.cuda.synchronize()

    def forget_peak(self) -> None:
        if self.cuda:
            self.cuda.reset_peak_memory_stats()

    def peak_on_device(self) -> float | None:
        return self.cuda.max_memory_allocated() / 1e6 if self.cuda else None


def matches(row: dict[str, Any], task: Task) -> bool:
    return all(row[key] == str(value) for key, value in dataclasses.asdict(task).items())


def read(path: Path | None) -> list[dict[str, str]]:
    """The rows of a file, which may not be there yet."""
    if path is None or not path.exists():
        return []
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise UserError(f"{path} was not written by this version of this tool; name another file in --out")
        return list(reader)


def write(path: Path | None, row: dict[str, Any]) -> None:
    """Append a row."""
    if path is None:
        return
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def line(row: dict[str, Any]) -> str:
    """A row for people."""
    parts = []
    for program in PROGRAMS:
        if row.get(f"{program} median_s"):
            figures = {figure: row.get(f"{program} {figure}") for figure in FIGURES}
            compiled = f", compiled in {figures['compile_s']} s" if figures["compile_s"] else ""
            parts.append(
                f"{program} {milliseconds(row, program)}, {figures['images_per_s']} images/s, "
                f"{figures['peak_mb']} MB{compiled}"
            )
    parts.append(f"ratio {row['ratio']} in {row['turns']} turns" if row.get("ratio") else f"{row['turns']} turns")
    return f"{row['network']} {row['measured']}: {'; '.join(parts)}"


def milliseconds(row: dict[str, Any], program: str) -> str:
    """The median and, in brackets, the quartiles."""
    median, lower, upper = (f"{1000 * float(row[f'{program} {figure}']):.4g}" for figure in FIGURES[:3])
    return f"{median} ({lower} to {upper}) ms"


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """A line for each network; images per second, compiling and memory are of its training step."""
    headings = ("network", "forward", "PyTorch", "ratio", "training step", "PyTorch", "ratio")
    headings += ("images/s", "PyTorch", "compiling, s", "memory, MB", "PyTorch")
    networks: dict[str, dict[str, dict[str, Any]]] = collections.defaultdict(dict)
    for row in rows:
        networks[row["network"]][row["measured"]] = row
    table = [headings, ["---"] * len(headings)]
    for network, measured in networks.items():
        cells = [network]
        for name in PASSES:
            row = measured.get(name, {})
            cells += [milliseconds(row, program) if row.get(f"{program} median_s") else "" for program in PROGRAMS]
            cells.append(row.get("ratio", ""))
        row = measured.get("training", {})
        columns = ("skinjax images_per_s", "PyTorch images_per_s", "skinjax compile_s", "skinjax peak_mb")
        cells += [row.get(column) or "" for column in (*columns, "PyTorch peak_mb")]
        table.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in table)


if __name__ == "__main__":
    main()
