"""Show a model on a web page of this machine, and answer programs: photographs in, probabilities out.

    skinjax serve model.skinjax
    skinjax serve model.skinjax --port=9000
    curl -F photographs=@lesion.jpg http://localhost:8000/api/predict

MODEL is a bundle (`skinjax bundle`) or the folder of a finished run. Only this machine can reach the page; for others
give --host, such as 0.0.0.0 for all that reach this machine, and know that there are no passwords. Nothing that is
uploaded is stored. docs/serve.md says what the API takes and gives. Ctrl-C stops it.
"""

import argparse
import contextlib
import ipaddress
import signal
import socket
import sys
from collections.abc import Iterator

from skinjax.core.arguments import Parser
from skinjax.core.errors import UserError, os_errors_as_user_errors

LOOPBACK = "127.0.0.1"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a bundle, or the folder of a finished run")
    parser.add_argument("--host", default=LOOPBACK, help=f"the address to listen at (default {LOOPBACK}, this machine)")
    parser.add_number("--port", 8000, 0, 65535, "the port to listen at (default 8000; 0 takes a free one)", "PORT")
    parser.add_argument("--name", action="append", default=[], help="a name by which others call this machine")
    parser.add_argument("--prior", default="", help="for other class frequencies: uniform or natural; needs a bundle")


def run(options: argparse.Namespace) -> int:
    try:
        import fastapi  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise UserError("skinjax serve needs FastAPI and uvicorn: pip install 'skinjax[serve]'") from None
    from skinjax.core.compilation_cache import use_compilation_cache
    from skinjax.data.dataset import data_root
    from skinjax.deploy.predictor import open_predictor
    from skinjax.deploy.serve.app import make_app
    from skinjax.deploy.serve.batching import Batcher
    from skinjax.deploy.serve.limits import Limits, server_of

    limits = Limits()
    with listening(options.host, options.port) as at:
        predictor = open_predictor(options.model, options.prior)
        use_compilation_cache(data_root() / "compilation_cache")
        host, port = at.getsockname()[:2]
        with Batcher(predictor, limits.waiting) as batcher, unraised(signal.SIGINT, signal.SIGTERM):
            app = make_app(batcher, called(options.host, options.name), is_any(host), limits)
            shown = "localhost" if host == LOOPBACK else f"[{options.host}]" if ":" in host else options.host
            print(f"http://{shown}:{port} (Ctrl-C stops it)", flush=True)
            if not is_loopback(host):
                print(f"whoever reaches port {port} of this machine can ask: there are no passwords", file=sys.stderr)
            server_of(app, limits).run(sockets=[at])
    print("stopped", file=sys.stderr)
    return 0


@contextlib.contextmanager
def unraised(*numbers: int) -> Iterator[None]:
    """Do nothing at these signals: uvicorn raises the one that stopped it again, when all is over."""
    before = [signal.signal(number, lambda *_: None) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens at an address, or why there is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with os_errors_as_user_errors(f"cannot listen at {host}, port {port}", "give another --port or --host"):
        return socket.create_server((host, port), family=family, backlog=256)


def called(host: str, names: list[str]) -> set[str]:
    """The names by which clients may call the server."""
    return {"localhost", LOOPBACK, "::1", host.lower(), socket.gethostname().lower(), *map(str.lower, names)}


def is_any(address: str) -> bool:
    return ipaddress.ip_address(address).is_unspecified


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback
