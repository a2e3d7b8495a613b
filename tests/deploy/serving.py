"""A tiny model behind a server of its own, on a free port, and photographs to send to it."""

import contextlib
import dataclasses
import io
import socket
import threading

import numpy as np
from PIL import Image

from skinjax.deploy import unlike
from skinjax.deploy.bundle import write_bundle
from skinjax.deploy.decisions import Decisions
from skinjax.deploy.predictor import open_predictor
from skinjax.deploy.serve.app import make_app
from skinjax.deploy.serve.batching import Batcher
from skinjax.deploy.serve.limits import Limits, server_of
from tests.test_model import drawn
from tests.test_model import photographs as pixels

HOSTILE = "<img src=x onerror=alert(1)>"
CLASSES = ("mel", "nv", HOSTILE)
CARD = f"# Model card\n\n- **Model**: tiny\n- **Classes**: {', '.join(CLASSES)}\n"


def write_tiny(path):
    """A bundle of a drawn network for batches of four, one of whose classes is markup."""
    model = dataclasses.replace(drawn(), classes=CLASSES)
    decisions = Decisions(temperature=1.5, usual=(0.2, 0.5, 0.3), farthest=(0.9, 0.9, 2.0), lesions=(20, 40, 3))
    kept = unlike.reference(model.features(pixels(20)))
    write_bundle(path, model, decisions=decisions, reference=kept, unlike_from=0.05, card=CARD)
    return path


def picture(seed=0, format="PNG", height=150, width=200, **saved) -> bytes:
    """A photograph of noise."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)).save(
        file, format, **saved
    )
    return file.getvalue()


@contextlib.contextmanager
def serving(bundle, limits=None):
    """(the address, the batcher) of a server for as long as the context lasts."""
    limits = limits or Limits()
    predictor = open_predictor(bundle, say=lambda line: None)
    with Batcher(predictor, limits.waiting) as batcher, socket.create_server(("127.0.0.1", 0)) as at:
        server = server_of(make_app(batcher, {"127.0.0.1"}, limits=limits), limits)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [at]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{at.getsockname()[1]}", batcher
        finally:
            server.should_exit = True
            thread.join()
