"""Record the first losses of every kind of run, or compare them with the record: does a change keep training as it was?

    python tools/golden_losses.py --record                              # every case, into tools/golden_losses.json
    python tools/golden_losses.py                                       # the same cases against that record
    python tools/golden_losses.py cdc:demo own:demo                     # these alone

A case is a command as people type it, stopped after ten steps; its losses are compared bit for bit. Those on HAM10000
use the 200x150 copies as they lie in --source, and are left out without it. Losses hold for one type of processor and
one release of jax: the record says which, and elsewhere a record of the commit before is to be made first.
"""

import argparse
import concurrent.futures
import json
import math
import platform
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

RECORD = Path(__file__).with_suffix(".json")
STEPS = 10
SECONDS = 900  # that a case may take; a network of full size compiles for minutes
BALANCING = (
    *("none", "oversampling", "balanced_batches", "loss_weighting", "loss_weighting_batch_mean"),
    *("diagnosis_weighting", "diagnosis_weighting_as_released", "class_balanced", "balanced_softmax"),
    *("logit_adjusted", "logit_adjusted_post_hoc", "ldam_drw"),
)
STRATEGIES = ("downsampling", "single_crop", "multi_crop", "gru", "initial", "end", "dual")
SCRATCH = ("model.weights=",)
COPIES = (*SCRATCH, "dataset.name=ham10000")
DRAWN = (*COPIES, "split.protocol=lesion_grouped", "split.file=", "split.published_validation=kept")
# The demo as small as it was when this record began.
SMALL = ("dataset.arguments.images=1500", "split.test=0.2", "split.validation=0.15", "views.evaluation=squash")
SHORT = (*SMALL, "phases.train.duration=16.0", "phases.train.warmup=1.0")
# CONFIG:VARIANT: the fields changed; those of the second table are trained on HAM10000.
DEMOS = {
    "cdc:demo": (*SHORT, "method.twin_batch_norm=update"),
    **{f"baselines:demo{loss}": SHORT for loss in ("", "_wce", "_fl", "_wfl")},
    **{f"patch_attention:demo{name}": () for name in ["", *(f"_{strategy}" for strategy in STRATEGIES)]},
    **{f"balancing:demo{name}": () for name in ["", *(f"_{strategy}" for strategy in BALANCING)]},
    "own:demo": SMALL,
}
ON_COPIES = {
    "cdc:skin7": (*COPIES, "batch=4"),
    "cdc:skin7_vgg16": (*COPIES, "batch=2"),
    "cdc:skin7_densenet121": (*COPIES, "batch=4"),
    "cdc:skin198": (*COPIES, "batch=4"),
    "baselines:skin7_wfl": (*COPIES, "batch=4"),
    "patch_attention:ham10000_densenet121_initial": (*DRAWN, "batch=1"),
    "patch_attention:ham10000_inception_v3_multi_crop": (*DRAWN, "batch=4"),
    "patch_attention:derm7pt_legacy_seresnext50_32x4d_gru": (*DRAWN, "batch=1"),
    "balancing:ham10000_densenet121_diagnosis_weighting": (*DRAWN, "batch=4"),
    "own:ham10000": (),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CONFIG:VARIANT", help="only these")
    parser.add_argument("--record", action="store_true", help="write the record instead of comparing with it")
    parser.add_argument("--source", default="../shared/data/ham10000", help="the official files of HAM10000")
    parser.add_argument("--data_dir", default="runs/golden_data", help="where data sets are made")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time")
    options = parser.parse_args()
    known = DEMOS | ON_COPIES
    for case in options.cases:
        if case not in known:
            sys.exit(f"error: no case {case!r}; known: {', '.join(known)}")
    data_dir = Path(options.data_dir).absolute()
    with_copies = Path(options.source).is_dir()
    if with_copies and not (data_dir / "ham10000").is_dir():
        prepare = ["prepare", "ham10000", f"--source={options.source}", f"--data_dir={data_dir}"]
        subprocess.run([sys.executable, "-m", "skinjax.cli", *prepare], check=True)
    cases = options.cases or [*DEMOS, *(ON_COPIES if with_copies else ())]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        found = dict(pool.map(lambda case: (case, losses(case, known[case], data_dir)), cases))
    if options.record:
        environment = {"machine": processor(), "python": platform.python_version(), "jax": metadata.version("jax")}
        old = json.loads(RECORD.read_text())["losses"] if RECORD.exists() and options.cases else {}
        RECORD.write_text(json.dumps({**environment, "losses": {**old, **found}}, indent=1) + "\n")
        return
    record = json.loads(RECORD.read_text())["losses"]
    different = 0
    for case in cases:
        place, size = difference(record.get(case, []), found[case])
        different += place is not None
        verdict = "the same" if place is None else f"step {place + 1} is the first to differ, at most by {size:.2g}"
        print(f"{case}: {verdict}")
    sys.exit(different > 0)


def losses(case: str, changes: tuple[str, ...], data_dir: Path) -> list[float]:
    """The losses of the first steps of a case; empty, with the reason printed, if it gave none."""
    config, variant = case.split(":")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "skinjax.main", f"--config=configs/{config}.py:{variant}"]
        command += [f"--workdir={folder}/run", f"--data_dir={data_dir}", "--config.logging.every=1"]
        command += [f"--config.{change}" for change in changes]
        with open(f"{folder}/output", "w+") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
            end = time.monotonic() + SECONDS
            try:
                while len(found := logged(Path(folder, "run", "metrics.jsonl"))) < STEPS and time.monotonic() < end:
                    if process.poll() is not None:
                        break
                    time.sleep(0.2)
            finally:
                process.kill()
                process.wait()
            output.seek(0)
            print(f"{case}: {len(found)} losses" + ("" if found else f"\n{output.read()[-2000:]}"), flush=True)
    return found[:STEPS]


def logged(path: Path) -> list[float]:
    """The training losses in a log that may just be written."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return [row["train/loss"] for row in rows if "train/loss" in row]


def difference(expected: list[float], found: list[float]) -> tuple[int | None, float]:
    """The first place where two lists differ (None if nowhere), and the largest relative difference."""
    if not expected or len(expected) != len(found):
        return min(len(expected), len(found)), math.inf
    places = [place for place, (a, b) in enumerate(zip(expected, found, strict=True)) if a != b]
    sizes = [abs(a - b) / abs(a) for a, b in zip(expected, found, strict=True)]
    return (places[0], max(sizes)) if places else (None, 0.0)


def processor() -> str:
    """The type of this machine's processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
