"""The page and the API of a model: photographs in, answers out, nothing kept."""

import asyncio
import base64
import contextlib
import dataclasses
import io
import math
import os
import re
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2
import numpy as np
from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from skinjax import __version__
from skinjax.core.errors import UserError
from skinjax.core.files import human_bytes
from skinjax.data.acquire.decoding import MOST_PIXELS, READERS
from skinjax.data.acquire.image_headers import image_format, jpeg_header, webp_size
from skinjax.deploy.predicting import Lines, Photograph, Record, records
from skinjax.deploy.serve.batching import Batcher, FullError
from skinjax.deploy.serve.limits import Guard, Limits, RefusedError, Uploads
from skinjax.deploy.serve.schema import FAULTS, TABLE, About, Answers, Explanation, form
from skinjax.deploy.serve.words import sentences

PAGE = Path(__file__).parent / "page"
MOST_DECODERS = 4  # photographs that are decoded at a time
LARGE = 2**24  # pixels, from which on a photograph is decoded alone: the largest take a gigabyte
CARD_ROW = re.compile(r"- \*\*(.+?)\*\*: (.*)")


def make_app(batcher: Batcher, names: set[str], addresses: bool = False, limits: Limits | None = None) -> Guard:
    """The ASGI app of a batcher that is at work; `names` and `addresses` are those of `Guard`."""
    desk = Desk(batcher, limits or Limits())
    app = FastAPI(
        title="skinjax serve", version=__version__, docs_url=None, redoc_url=None, description=" ".join(desk.notices)
    )
    app.add_api_route("/", desk.page, include_in_schema=False)
    app.add_api_route("/page.css", lambda: FileResponse(PAGE / "page.css"), include_in_schema=False)
    app.add_api_route("/page.js", lambda: FileResponse(PAGE / "page.js"), include_in_schema=False)
    app.add_api_route("/api/model", desk.about, summary="The model, its card and the limits", response_model=About)
    posted: dict[str, tuple[Any, Any, bool, str]] = {
        "/api/predict": (desk.predict, {"model": Answers}, True, "What the model says of photographs"),
        "/api/table": (desk.table, TABLE, True, "The same as CSV, with the columns of skinjax predict"),
        "/api/explain": (desk.explain, {"model": Explanation}, False, "What the answer to a photograph rests on"),
    }
    for path, (answer, gives, several, says) in posted.items():
        told: dict[str, Any] = {"summary": says, "responses": {200: gives, **FAULTS}, "openapi_extra": form(several)}
        app.add_api_route(path, answer, methods=["POST"], response_class=Response, **told)
    app.add_exception_handler(RefusedError, lambda _, error: error.response())  # type: ignore[attr-defined]
    app.add_exception_handler(HTTPException, _told)
    app.add_exception_handler(ClientDisconnect, lambda *_: Response(status_code=400))
    app.add_exception_handler(Exception, lambda *_: JSONResponse({"error": "the server failed at this"}, 500))
    return Guard(app, names, addresses)


async def _told(_: Request, error: Any) -> JSONResponse:
    return JSONResponse({"error": f"{error.detail}: /openapi.json says what there is"}, error.status_code)


class Desk:
    """Where requests are answered."""

    def __init__(self, batcher: Batcher, limits: Limits):
        self.batcher, self.limits, self.predictor = batcher, limits, batcher.predictor
        bundle = self.predictor.bundle
        self.notices = self.predictor.notices
        self.uploads, self.lines = Uploads(limits), Lines(self.predictor, "csv")
        self.decoders = ThreadPoolExecutor(min(MOST_DECODERS, os.cpu_count() or 1))
        self.alone = threading.Lock()
        self.card = bundle.card if bundle else ""
        self.html = self._html(bundle.path.name if bundle else "a run")

    async def page(self) -> HTMLResponse:
        return HTMLResponse(self.html)

    async def about(self) -> JSONResponse:
        limits = dataclasses.asdict(self.limits) | {"pixels": MOST_PIXELS}
        said = About(
            skinjax=__version__,
            classes=list(self.predictor.classes),
            notices=self.notices,
            card=self.card,
            limits=limits,
            batches=self.batcher.batches,
        )
        return JSONResponse(said.model_dump())

    async def predict(self, request: Request) -> JSONResponse:
        async with self._asked(request) as files:
            found = [self._record(of) for of in await self._answers(files)]
        told = [record | {"says": sentences(self.predictor, record)} for record in found]
        return JSONResponse({"notices": self.notices, "answers": told, "table": self._table(found)})

    async def table(self, request: Request) -> Response:
        async with self._asked(request) as files:
            found = [self._record(of) for of in await self._answers(files)]
        headers = {"Content-Disposition": 'attachment; filename="predictions.csv"'}
        return Response(self._table(found), media_type="text/csv", headers=headers)

    async def explain(self, request: Request) -> JSONResponse:
        async with self._asked(request) as files:
            if len(files) > 1:
                raise RefusedError(422, "one photograph is explained at a time: send one")
            (of,) = await self._answers(files)
            record = self._record(of)
            if of.pixels is None:
                raise RefusedError(422, of.error)
            label = self.predictor.classes.index(record["prediction"])
            try:
                rows = await asyncio.wrap_future(self.batcher.explain(of.pixels, label))
            except UserError as error:  # a method that has no such maps
                raise RefusedError(422, str(error)) from error
        names = {what: f"{what} for {record['prediction']}" if "CAM" in what else what for what in rows}
        pictures = [{"shows": names[what], "png": png(of[0])} for what, of in rows.items()]
        told = record | {"says": sentences(self.predictor, record)}
        return JSONResponse({"notices": self.notices, "answer": told, "pictures": pictures})

    @contextlib.asynccontextmanager
    async def _asked(self, request: Request) -> AsyncIterator[list[tuple[str, bytes]]]:
        """The photographs of a request, with a place in the house and a time for their answers."""
        seconds = self.limits.answer_seconds
        async with self.uploads.received(request) as files:
            try:
                with self.batcher.admitted(len(files)):
                    async with asyncio.timeout(seconds):
                        yield files
            except FullError:
                raise RefusedError(503, "too many photographs wait already: come again in a second", retry=1) from None
            except TimeoutError:
                told = f"there was no answer within {seconds:g} seconds: send fewer photographs"
                raise RefusedError(503, told, retry=10) from None

    async def _answers(self, files: list[tuple[str, bytes]]) -> list[Photograph]:
        """What the network says of each; no request has more than two batches in the queue."""
        gate = asyncio.Semaphore(2 * self.batcher.sizes[-1])
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._answer(name, data, gate)) for name, data in files]
        return [task.result() for task in tasks]

    async def _answer(self, name: str, data: bytes, gate: asyncio.Semaphore) -> Photograph:
        stem = PurePosixPath(name).stem
        async with gate:
            decoding = asyncio.get_running_loop().run_in_executor(self.decoders, self._look, data, name)
            try:
                pixels, flags = await decoding
            except UserError as error:
                return Photograph(name, stem, error=str(error))
            outputs = await asyncio.wrap_future(self.batcher.ask(pixels))
        return Photograph(name, stem, outputs["probabilities"], outputs.get("distance", np.nan), flags, "", pixels)

    def _look(self, data: bytes, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
        with self.alone if pixels_of(data) > LARGE else contextlib.nullcontext():
            return self.predictor.look(data, name)

    def _record(self, of: Photograph) -> Record:
        (record,) = records(self.predictor, [of])
        return record

    def _table(self, found: list[Record]) -> str:
        return "".join(f"{line}\n" for line in (self.lines.first(), *map(self.lines.of, found)))

    def _html(self, name: str) -> str:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(PAGE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
        )
        rows = [found.groups() for found in map(CARD_ROW.fullmatch, self.card.splitlines()) if found]
        return environment.get_template("page.html").render(
            name=name,
            notices=self.notices,
            classes=self.predictor.classes,
            columns=self.lines.header,
            card=rows,
            limits=self.limits,
            most_bytes=human_bytes(self.limits.bytes),
        )


def pixels_of(data: bytes) -> int:
    """How many pixels a photograph has by its header; 0 if that cannot be read, of which decoding tells."""
    try:
        format_ = image_format(data)
        if format_ == "JPEG":
            header = jpeg_header(data)
            return header.width * header.height
        if format_ == "WEBP":
            return math.prod(webp_size(data))
        with READERS[format_](io.BytesIO(data)) as image:
            return math.prod(image.size)
    except Exception:  # damaged headers make readers raise anything
        return 0


def png(pixels: np.ndarray) -> str:
    """A picture as base64, made of its pixels alone."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
