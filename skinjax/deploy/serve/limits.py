"""What clients may ask of the server: how much, how fast, and from where. Who asks for more is told in a sentence."""

import asyncio
import contextlib
import dataclasses
import ipaddress
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from urllib.parse import urlsplit

import h11
import uvicorn
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from skinjax.core.files import human_bytes

MOST_NAME = 200  # letters of a photograph's name
FORM = "send each photograph as a file of multipart/form-data"
STRICT = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much may be asked; the pixels of a photograph are limited where it is decoded.

    photographs, bytes: of a request; held: bytes of all requests together; requests: that bring photographs at a time;
    waiting: photographs of all; seconds: from a request's first byte to its last, and for taking in an answer;
    answer_seconds: from there to the answer; head_seconds: until a connection has said what it wants
    """

    photographs: int = 64
    bytes: int = 64_000_000
    held: int = 512_000_000
    requests: int = 256
    waiting: int = 512
    seconds: float = 60.0
    answer_seconds: float = 120.0
    head_seconds: float = 10.0


class RefusedError(Exception):
    """A request that gets no answer but this status and sentence; it may come again after `retry` seconds."""

    def __init__(self, status: int, sentence: str, retry: int | None = None):
        super().__init__(sentence)
        self.status, self.sentence, self.retry = status, sentence, retry

    def response(self) -> JSONResponse:
        headers = {"Retry-After": str(self.retry)} if self.retry else None
        return JSONResponse({"error": self.sentence}, self.status, headers)


class Guard:
    """Around an app: other sites' pages are refused, and browsers are told to be strict with every answer.

    names: those by which the server may be called; addresses: so may any IP address, which no other site's name is
    """

    def __init__(self, app: ASGIApp, names: set[str], addresses: bool = False):
        self.app, self.names, self.addresses = app, names, addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = Body(receive, Headers(scope=scope))

        async def strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                headers.update(STRICT)
                if not body.whole:
                    await body.drain()
                    headers["Connection"] = "close"
            await send(message)

        try:
            self.check(scope["method"], body.headers)
        except RefusedError as refused:
            await refused.response()(scope, receive, strict)
        else:
            await self.app(scope, body.receive, strict)

    def check(self, method: str, headers: Headers) -> None:
        """Refuse a name that is not ours, as when another site's name leads here, and what its pages post."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.knows(hosts[0]):
            told = "the server is not called so: use the address that it printed, or start it with --name"
            raise RefusedError(421, told)
        if method in ("GET", "HEAD"):
            return
        origin = headers.get("origin")
        own = origin is None or origin.partition("://")[2] == hosts[0]
        if not own or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise RefusedError(403, "this was sent by the page of another site: refused")

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server.

        >>> [Guard(None, {"localhost"}).knows(host) for host in ("localhost:8000", "evil.example", "[")]
        [True, False, False]
        """
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name in self.names:
                return True
            return self.addresses and bool(ipaddress.ip_address(name))
        except ValueError:
            return False


class Body:
    """The body of a request, and whether all of it has come."""

    def __init__(self, receive: Receive, headers: Headers):
        self._receive, self.headers = receive, headers
        self.whole = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers

    async def receive(self) -> Message:
        message = await self._receive()
        self.whole = self.whole or not message.get("more_body", False)
        return message

    async def drain(self, seconds: float = 1.0) -> None:
        """Take in what a client sends before it listens to why it is refused, for a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.whole:
                    await self.receive()


class Uploads:
    """Photographs that are being sent, counted over all requests."""

    def __init__(self, limits: Limits):
        self.limits, self.requests, self.held = limits, 0, 0

    @contextlib.asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[list[tuple[str, bytes]]]:
        """The name and the bytes of each photograph of a request, counted as held in the context."""
        limits, announced = self.limits, request.headers.get("content-length", "")
        with self._counted() as count:
            if announced.isdigit() and int(announced) > limits.bytes:
                raise self._too_large()

            async def stream() -> AsyncIterator[bytes]:
                async for chunk in request.stream():
                    count(len(chunk))
                    yield chunk

            try:
                async with asyncio.timeout(limits.seconds):
                    files = await photographs_of(request.headers, stream(), limits.photographs)
            except TimeoutError:
                told = f"the photographs took longer than {limits.seconds:g} seconds: send fewer"
                raise RefusedError(408, told) from None
            yield files

    @contextlib.contextmanager
    def _counted(self) -> Iterator[Callable[[int], None]]:
        """Counts a request, and gives a function that counts its bytes."""
        if self.requests == self.limits.requests:
            raise self._busy()
        own = 0

        def count(size: int) -> None:
            nonlocal own
            own, self.held = own + size, self.held + size
            if own > self.limits.bytes:
                raise self._too_large()
            if self.held > self.limits.held:
                raise self._busy()

        self.requests += 1
        try:
            yield count
        finally:
            self.requests, self.held = self.requests - 1, self.held - own

    def _too_large(self) -> RefusedError:
        return RefusedError(413, f"the request has more than {human_bytes(self.limits.bytes)}: send fewer photographs")

    def _busy(self) -> RefusedError:
        return RefusedError(503, "too much is being sent to the server: come again in a second", retry=1)


class Form(MultiPartParser):
    """A form in memory, whose bytes are counted before they come here; no file goes to disk."""

    spool_max_size = 2**62
    ended = False

    def on_end(self) -> None:
        self.ended = True


async def photographs_of(headers: Headers, stream: AsyncIterator[bytes], most: int) -> list[tuple[str, bytes]]:
    """The name and the bytes of each file of a form."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise RefusedError(415, f"the request is no form: {FORM}")

    async def whole() -> AsyncGenerator[bytes, None]:
        async for chunk in stream:
            yield chunk
        if not form.ended:
            raise MultiPartException("it is cut short")

    form = Form(headers, whole(), max_files=most, max_fields=0)
    try:
        found = await form.parse()
    except MultiPartException as error:
        raise RefusedError(400, f"the form cannot be read ({error.message.rstrip('.')}): {FORM}") from error
    files = []
    for _, of in found.multi_items():
        if isinstance(of, UploadFile):
            files.append((_shown_name(of.filename), of.file.read()))
            of.file.close()
    if not files:
        raise RefusedError(422, f"there is no photograph in the form: {FORM}")
    return files


def _shown_name(name: str | None) -> str:
    """A client's name for a file as others may read it; it is shown, and never a path."""
    seen = "".join(letter if letter.isprintable() else "\ufffd" for letter in name or "")
    return seen[-MOST_NAME:] or "photograph"


def server_of(app: ASGIApp, limits: Limits) -> uvicorn.Server:
    """A server of an app, that trusts no proxy, and says nothing of what clients do wrong."""
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        http=type("Protocol", (Protocol,), {"limits": limits}),
        ws="none",
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=2 * limits.requests,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


class Protocol(H11Protocol):
    """uvicorn's, but a connection that does not say what it wants, or takes no answer in, is closed after a while."""

    limits: Limits
    _closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._closing = self.loop.call_later(self.limits.head_seconds, transport.close)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE and self._closing:
            self._closing.cancel()
            self._closing = None
        elif self.conn.their_state is h11.IDLE and not self._closing:
            self._closing = self.loop.call_later(self.limits.head_seconds, self.transport.close)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.loop.call_later(self.limits.seconds, self._end)

    def _end(self) -> None:
        if self.transport.is_closing():
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._closing:
            self._closing.cancel()
        super().connection_lost(exc)
