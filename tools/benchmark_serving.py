"""What answering photographs costs, in forward passes of the network alone.

    python tools/benchmark_serving.py [--backbone=resnet50] [--size=224] [--batch=32] [--clients=32] [--rounds=3]

The jitted forward pass of a whole batch, `predict` of drawn 600x450 JPEGs, and `skinjax serve` under clients that each
send the next photograph when the last is answered take turns in one run; what is printed are medians over the rounds,
with their range. The server is a process of its own, started twice: the second finds its programs in the compilation
cache, and the seconds from its launch to its first answer are told. The machine should have nothing else to do.
"""

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
from benchmark_explain import drawn

from skinjax.core.compilation_cache import use_compilation_cache
from skinjax.data.acquire.sources import File
from skinjax.data.synthetic.photographs import Painter, encode
from skinjax.data.synthetic.settings import Settings
from skinjax.deploy import unlike
from skinjax.deploy.bundle import write_bundle
from skinjax.deploy.decisions import Decisions
from skinjax.deploy.predicting import Lines, photographs, records
from skinjax.deploy.predictor import Predictor, open_predictor

PHOTOGRAPHS = 64
DRAWN = Settings(images=PHOTOGRAPHS, height=450, width=600, classes=7, imbalance=1.0, seed=17)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = made(Path(folder), options.backbone, options.size, options.batch)
        painter = Painter(DRAWN)
        files = [encode(painter.draw(row)) for row in range(PHOTOGRAPHS)]
        for name in ("a cold", "a warm"):
            server, port, seconds = launched(bundle, Path(folder), files[0])
            print(f"first answer with {name} compilation cache: {seconds:.1f} s", flush=True)
            asked(http.client.HTTPConnection("127.0.0.1", port), "/api/explain", files[0])  # what is compiled last
            if name == "a cold":
                ended(server)
        use_compilation_cache(Path(folder) / "compilation_cache")
        predictor = open_predictor(bundle, say=lambda line: None)
        load(port, files[: options.clients], options.clients)
        forward(predictor, options.batch)  # compiles
        rounds = [one_round(predictor, files, port, options.clients) for _ in range(options.rounds)]
        ended(server)
    machine = f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{options.backbone}, {options.size} px, batch {options.batch}, {options.clients} clients, {machine}")
    for name in rounds[0]:
        values = sorted(of[name] for of in rounds)
        print(f"{name}: {statistics.median(values):.2f} ({values[0]:.2f} to {values[-1]:.2f})")


def one_round(predictor: Predictor, files: list[bytes], port: int, clients: int) -> dict[str, float]:
    """The figures of a round; ratios are of what ran one after the other."""
    batch = predictor.model.spec.batch
    alone = batch / seconds_of(lambda: forward(predictor, batch))
    predict = len(files) / seconds_of(lambda: predicted(predictor, files))
    before, waits = batches(port), list[float]()
    serve = 2 * len(files) / seconds_of(lambda: waits.extend(load(port, 2 * files, clients)))
    formed = size_of_most(batches(port) - before)
    forward(predictor, formed)  # compiles
    one = seconds_of(lambda: forward(predictor, formed))
    return {
        "forward, photographs a second": alone,
        "predict, photographs a second": predict,
        "serve, photographs a second": serve,
        "predict / forward": predict / statistics.mean([alone, formed / one]),
        "serve / predict": serve / predict,
        "the batch that the middle photograph is answered in": formed,
        "p50 of serve, seconds": statistics.median(waits),
        "p50 of serve / forward of that batch": statistics.median(waits) / one,
        "p95 of serve, seconds": float(np.quantile(waits, 0.95)),
    }


def made(folder: Path, backbone: str, size: int, batch: int) -> Path:
    """A bundle of a network as it starts, with all that is decided by one."""
    model = drawn(backbone, size, batch)
    width = model.features(np.zeros((1, size, size, 3), np.uint8)).shape[1]
    kept = unlike.reference(np.random.default_rng(0).random((unlike.KEPT, width)))
    decisions = Decisions(temperature=1.5, usual=(1 / 7,) * 7, farthest=(0.9,) * 7, lesions=(99,) * 7)
    write_bundle(folder / "model.skinjax", model, decisions=decisions, reference=kept, unlike_from=0.1)
    return folder / "model.skinjax"


def forward(predictor: Predictor, size: int) -> None:
    stored = predictor.model.spec.stored_size
    images = np.zeros((size, stored.height, stored.width, 3), np.uint8)
    jax.block_until_ready(predictor.program(predictor.model.variables, images))


def predicted(predictor: Predictor, files: list[bytes]) -> None:
    """What `skinjax predict` does with files."""
    lines = Lines(predictor, "csv")
    sources = [File(f"{n}.jpg", len(of), Path(f"{n}.jpg"), lambda of=of: of) for n, of in enumerate(files)]
    for record in records(predictor, photographs(predictor, sources)):
        lines.of(record)


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def launched(bundle: Path, data: Path, photograph: bytes) -> tuple[subprocess.Popen, int, float]:
    """A server, its port, and the seconds until its first answer."""
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    began = time.perf_counter()
    command = [sys.executable, "-m", "skinjax.cli", "serve", str(bundle), "--port=0"]
    server = subprocess.Popen(
        command, env={**environment, "SKINJAX_DATA": str(data)}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert server.stdout
    port = int(server.stdout.readline().split()[0].rpartition(b":")[2])
    asked(http.client.HTTPConnection("127.0.0.1", port), "/api/predict", photograph)
    return server, port, time.perf_counter() - began


def ended(server: subprocess.Popen) -> None:
    server.send_signal(signal.SIGTERM)
    server.wait()


def asked(connection: http.client.HTTPConnection, path: str, photograph: bytes) -> dict:
    """The answer to one photograph; it has to be one."""
    head = b'--B\r\nContent-Disposition: form-data; name="photographs"; filename="a.jpg"\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    connection.request("POST", path, head + photograph + b"\r\n--B--\r\n", headers)
    response = connection.getresponse()
    found = json.loads(response.read())
    assert response.status == 200, found
    return found


def batches(port: int) -> Counter[int]:
    """How many batches were answered, by their size."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/api/model")
    return Counter({int(size): count for size, count in json.loads(connection.getresponse().read())["batches"].items()})


def size_of_most(found: Counter[int]) -> int:
    """The size of the batch that the middle one of all photographs is in."""
    return int(np.median(np.repeat(list(found), [size * count for size, count in found.items()])))


def load(port: int, files: list[bytes], clients: int) -> list[float]:
    """The seconds of each photograph, from as many clients."""
    waiting, times = iter(files), list[float]()

    def client(_: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for photograph in waiting:
            began = time.perf_counter()
            asked(connection, "/api/predict", photograph)
            times.append(time.perf_counter() - began)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    return times


if __name__ == "__main__":
    main()
