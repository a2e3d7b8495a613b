"""`skinjax serve`: the answers of predict over HTTP, and what hostile, slow and many clients get."""

import asyncio
import base64
import concurrent.futures
import csv
import io
import os
import re
import signal
import socket
import struct
import sys
import threading
import time
import zlib
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from skinjax import cli
from skinjax.data.acquire.sources import File
from skinjax.deploy.predicting import Lines, photographs, records
from skinjax.deploy.predictor import open_predictor
from skinjax.deploy.serve.app import make_app, pixels_of
from skinjax.deploy.serve.batching import chosen, sizes_up_to
from skinjax.deploy.serve.limits import STRICT, Guard, Limits
from skinjax.deploy.serve.words import in_set, likeliest, one_of
from tests.deploy.serving import CARD, CLASSES, HOSTILE, picture, pixels, serving, write_tiny

SECRET = b"51.5007 N 0.1246 W"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("bundle") / "tiny.skinjax")


@pytest.fixture(scope="module")
def server(bundle):
    with serving(bundle) as found:
        yield found


@pytest.fixture(scope="module")
def client(server):
    """Afterwards the server has to be alive, and nothing of a client's in its hands."""
    url, batcher = server
    with httpx.Client(base_url=url, timeout=20) as found:
        yield found
        (answer,) = ask(found, [("last.png", picture(5))])
    assert answer["error"] == ""
    assert batcher.inside == 0


def form(files):
    return [("photographs", of) for of in files]


def ask(client, files):
    """The answers to photographs."""
    response = client.post("/api/predict", files=form(files))
    assert response.status_code == 200, response.text
    return response.json()["answers"]


def test_a_padded_size_gives_the_numbers_of_a_whole_batch(server):
    _, batcher = server
    batcher.compiled.wait()
    whole = batcher.predictor.outputs(pixels(4))
    for count in (1, 2, 3, 4):
        padded = batcher.outputs(pixels(4)[:count])
        assert padded.keys() == whole.keys()
        for name, values in padded.items():
            np.testing.assert_allclose(values, whole[name][:count], atol=1e-5)
    assert batcher.batches == {1: 1, 2: 1, 4: 2}


def test_batches_are_padded_to_a_few_sizes():
    assert sizes_up_to(1) == [1]
    assert sizes_up_to(32) == [1, 2, 4, 8, 16, 32]
    assert sizes_up_to(24) == [1, 2, 4, 8, 16, 24]
    assert [chosen(waiting, [1, 16, 32]) for waiting in (1, 2, 11, 12, 17, 24, 99)] == [1, 1, 1, 16, 16, 32, 32]


def test_the_table_is_that_of_predict(bundle, client):
    """By chance of its place in a batch a photograph may differ in the last digits."""
    files = [(f"of {seed}.png", picture(seed)) for seed in range(6)] + [("bad.jpg", b"no picture")]
    response = client.post("/api/table", files=form(files))
    assert response.headers["content-type"].startswith("text/csv")
    predictor = open_predictor(bundle, say=lambda line: None)
    lines = Lines(predictor, "csv")
    found = photographs(predictor, [File(name, len(data), Path(name), lambda data=data: data) for name, data in files])
    wanted = "".join(f"{line}\n" for line in (lines.first(), *map(lines.of, records(predictor, list(found)))))
    ours, theirs = (list(csv.DictReader(io.StringIO(text))) for text in (response.text, wanted))
    assert len(ours) == 7
    for row, of in zip(ours, theirs, strict=True):
        assert row.keys() == of.keys()
        for name in row:
            if name.startswith(("p_", "entropy", "distance")) and row[name]:
                assert float(row[name]) == pytest.approx(float(of[name]), abs=1e-5)
            else:
                assert row[name] == of[name]
    assert client.post("/api/predict", files=form(files)).json()["table"].count("\n") == 8


def test_an_answer_says_what_it_means(client):
    (answer,) = ask(client, [("a/b.c.png", picture())])
    assert (answer["path"], answer["image_id"]) == ("a/b.c.png", "b.c")
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert any("such sets hold the true class of nine in ten lesions" in line for line in answer["says"])
    assert any(line.startswith("Of a hundred photographs") for line in answer["says"])
    assert answer["notice"] == "Research use only, not a medical device."
    (small,) = ask(client, [("small.png", picture(height=20, width=24))])
    assert small["flags"] == ["tiny"]
    assert "The photograph is tiny: take a larger one." in small["says"]


def test_words_of_answers():
    assert one_of(["mel", "bcc", "akiec"]) == "mel, bcc or akiec"
    assert in_set(["nv", "bkl"]) == "nv or bkl: such sets hold the true class of nine in ten lesions of each class."
    assert in_set(["nv"]).startswith("nv alone: such sets hold")
    assert in_set([]).startswith("No class is likely enough")
    frequent = "Of a hundred photographs that are answered like this one, about 71 are nv"
    assert likeliest(["nv", 0.712], True, "") == f"{frequent}."
    assert likeliest(["nv", 0.712], True, "uniform") == f"{frequent}, for classes that are equally frequent."
    assert likeliest(["nv", 0.712], False, "") == "The network gives nv 71%, which was not calibrated."
    assert "more than 99 are nv" in likeliest(["nv", 0.9999], True, "")


def test_the_model_tells_of_itself(client):
    about = client.get("/api/model").json()
    assert (about["classes"], about["card"]) == (list(CLASSES), CARD)
    assert about["limits"]["photographs"] == Limits().photographs
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/api/model", "/api/predict", "/api/table", "/api/explain"}
    given = {path: set(of["post"]["responses"]["200"]["content"]) for path, of in paths.items() if "post" in of}
    json = {"application/json"}
    assert given == {"/api/predict": json, "/api/table": {"text/csv"}, "/api/explain": json}
    assert "multipart/form-data" in paths["/api/predict"]["post"]["requestBody"]["content"]
    assert client.get("/docs").status_code == 404


@pytest.mark.parametrize(
    "path", ["/", "/page.css", "/page.js", "/api/model", "/openapi.json", "/nothing", "/../app.py"]
)
def test_browsers_are_told_to_be_strict(path, client):
    response = client.get(path)
    assert {name: response.headers[name] for name in STRICT} == STRICT
    assert "access-control-allow-origin" not in response.headers
    assert "http://" not in response.text.replace("http://127.0.0.1", "")
    assert "https://" not in response.text


def test_markup_in_names_is_text(client):
    page = client.get("/").text
    assert HOSTILE not in page
    assert HOSTILE.replace("<", "&lt;").replace(">", "&gt;") in page
    assert not re.search(r"<script(?! src=)|style=|\son\w+=", page.replace("x onerror", ""))
    assert "innerHTML" not in client.get("/page.js").text
    response = client.post("/api/predict", files=form([("<b>\x07.png", picture())]))
    assert response.headers["content-type"] == "application/json"
    assert response.json()["answers"][0]["path"] == "<b>%07.png"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:80"}, 421),
        ({"Host": ""}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://127.0.0.1:1", "Host": "127.0.0.1:1", "Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_pages_of_other_sites_are_refused(headers, status, client):
    response = client.post("/api/predict", files=form([("a.png", picture())]), headers=headers)
    assert response.status_code == status
    if status != 200:
        assert response.json().keys() == {"error"}


def test_an_address_is_no_name_of_another_site():
    open_to_all = Guard(None, {"localhost", "box.lan"}, addresses=True)
    known = {
        host for host in ("192.168.1.7:8000", "[fe80::1]:80", "box.lan", "evil.example") if open_to_all.knows(host)
    }
    assert known == {"192.168.1.7:8000", "[fe80::1]:80", "box.lan"}
    assert not Guard(None, {"localhost"}).knows("192.168.1.7:8000")


MULTIPART = {"Content-Type": "multipart/form-data; boundary=B"}
PART = b'--B\r\nContent-Disposition: form-data; name="photographs"; filename="a.png"\r\n\r\n'


@pytest.mark.parametrize(
    ("content", "headers", "status", "said"),
    [
        (b"", {}, 415, "is no form"),
        (b"{}", {"Content-Type": "application/json"}, 415, "is no form"),
        (b"x", {"Content-Type": "multipart/form-data"}, 400, "boundary"),
        (b"\x00\xff" * 50, MULTIPART, 400, "cannot be read"),
        (b"", MULTIPART, 400, "cut short"),
        (PART + b"cut", MULTIPART, 400, "cut short"),
        (b"--B--\r\n", MULTIPART, 422, "no photograph"),
        (PART.replace(b"; filename", b"; other") + b"text\r\n--B--\r\n", MULTIPART, 400, "fields"),
        ((PART + b"\r\n") * 65 + b"--B--\r\n", MULTIPART, 400, "Maximum number of files is 64"),
        (b"--B\r\nContent-Disposition: " + b"x" * 10**5, MULTIPART, 400, "form"),
        (b"--B\r\n\r\nno header\r\n--B--\r\n", MULTIPART, 400, "form"),
    ],
)
def test_a_form_that_is_none_is_told_why(content, headers, status, said, client):
    response = client.post("/api/predict", content=content, headers=headers)
    assert response.status_code == status
    assert said in response.json()["error"]
    assert "Traceback" not in response.text


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


BOMB = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
BOMB += chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")


def test_a_bad_photograph_has_its_error_and_the_others_their_answers(client):
    bad = {
        "cut.jpg": (picture(1, "JPEG")[:2000], "Premature end of JPEG file"),
        "bomb.png": (BOMB, "100000x100000 pixels are more than the limit"),
        "page.html": (b"<script>alert(1)</script>", "cannot be decoded"),
        "none.jpg": (b"", "empty"),
    }
    answers = ask(client, [*((name, data) for name, (data, _) in bad.items()), ("good.png", picture())])
    for answer, (name, (_, why)) in zip(answers, bad.items(), strict=False):
        assert name in answer["error"]
        assert why in answer["error"]
        assert "probabilities" not in answer
    assert answers[-1]["error"] == ""
    response = client.post("/api/explain", files=form([("bomb.png", BOMB)]))
    assert response.status_code == 422
    assert "more than the limit" in response.json()["error"]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_pixels_are_counted_before_they_are_decoded(format):
    """Large photographs are decoded one at a time, so that a few of them do not fill the memory."""
    assert pixels_of(picture(0, format)) == 200 * 150
    assert pixels_of(picture(0, format)[:10]) == 0


def test_exif_turns_the_photograph_and_is_not_returned(client):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, SECRET.decode()
    stored = Image.open(io.BytesIO(picture(3)))
    turned, upright = io.BytesIO(), io.BytesIO()
    stored.save(turned, "PNG", exif=exif)
    stored.transpose(Image.Transpose.ROTATE_270).save(upright, "PNG")
    assert SECRET in turned.getvalue()
    first, second = ask(client, [("turned.png", turned.getvalue()), ("upright.png", upright.getvalue())])
    assert first["probabilities"] == pytest.approx(second["probabilities"], abs=1e-5)
    response = client.post("/api/explain", files=form([("turned.png", turned.getvalue())]))
    pictures = [base64.b64decode(of["png"]) for of in response.json()["pictures"]]
    assert [of["shows"] for of in response.json()["pictures"]] == ["as stored", f"Grad-CAM for {first['prediction']}"]
    for of in pictures:
        image = Image.open(io.BytesIO(of))
        assert (image.format, len(image.getexif()), image.info) == ("PNG", 0, {})
        assert SECRET not in of
    assert SECRET.decode() not in response.text
    assert Image.open(io.BytesIO(pictures[0])).size == (24, 20)


def test_one_photograph_is_explained_at_a_time(client):
    response = client.post("/api/explain", files=form([("a.png", picture()), ("b.png", picture(1))]))
    assert response.status_code == 422


def test_two_hundred_clients_at_once_have_their_own_answers(client):
    names = [f"{number}.jpg" for number in range(200)]
    seen = {seed: picture(seed, "JPEG") for seed in range(4)}
    wanted = {seed: ask(client, [("x.jpg", data)])[0]["probabilities"] for seed, data in seen.items()}
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        found = list(pool.map(lambda name: ask(client, [(name, seen[int(name[:-4]) % 4])]), names))
    assert [answer["path"] for (answer,) in found] == names
    for number, (answer,) in enumerate(found):
        assert answer["probabilities"] == pytest.approx(wanted[number % 4], abs=1e-5)


@pytest.fixture(scope="module")
def narrow(bundle):
    """A server that takes little of everything."""
    limits = Limits(photographs=3, bytes=10**6, held=15 * 10**5, requests=3, waiting=2, seconds=0.4, head_seconds=0.4)
    with serving(bundle, limits) as found:
        yield found


def resident() -> int:
    """The bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_what_is_too_large_is_refused_before_it_is_held(narrow):
    url, _ = narrow
    before = resident()
    for announced in (True, False):
        content = bytes(2**25) if announced else (PART, *(bytes(2**16) for _ in range(2**9)))
        content = content if announced else iter(content)
        response = httpx.post(f"{url}/api/predict", content=content, headers=MULTIPART)
        assert response.status_code == 413
        assert "more than" in response.json()["error"]
    assert resident() - before < 2**27


def test_what_is_too_much_at_once_may_come_again(narrow):
    url, batcher = narrow
    response = httpx.post(f"{url}/api/predict", files=form([(f"{seed}.png", picture(seed)) for seed in range(3)]))
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert httpx.post(f"{url}/api/predict", files=form([("a.png", picture())])).status_code == 200
    assert batcher.inside == 0


def connected(url) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=10)


def test_who_sends_slowly_is_not_waited_for(narrow):
    url, _ = narrow
    head = "POST /api/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
    for begun, status in (
        (f"{head}{'Content-Type: multipart/form-data; boundary=B'}\r\n\r\n--B", b"408"),
        ("POST", b""),
    ):
        with connected(url) as slow:
            slow.sendall(begun.encode())
            answer = b""
            while got := slow.recv(4096):
                answer += got
            assert status in answer.split(b"\r\n")[0]
    assert httpx.get(f"{url}/api/model").status_code == 200


def test_slow_clients_take_no_more_places_than_there_are(narrow):
    url, _ = narrow
    head = b"POST /api/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n"
    slow = [connected(url) for _ in range(3)]
    for one in slow:
        one.sendall(head + b"Content-Type: multipart/form-data; boundary=B\r\n\r\n-")
    until = time.monotonic() + 5
    while (response := httpx.post(f"{url}/api/predict", files=form([("a.png", picture())]))).status_code != 503:
        assert time.monotonic() < until
    assert response.headers["retry-after"] == "1"
    for one in slow:
        assert b"408" in one.recv(4096)
        one.close()
    assert httpx.post(f"{url}/api/predict", files=form([("a.png", picture())])).status_code == 200


def test_clients_that_leave_in_the_middle_leave_nothing_behind(narrow):
    url, batcher = narrow
    for _ in range(20):
        with connected(url) as one:
            one.sendall(b"POST /api/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\nab")
    assert httpx.post(f"{url}/api/predict", files=form([("a.png", picture())])).status_code == 200
    assert batcher.inside == 0


def test_who_waits_too_long_may_come_again(narrow):
    _, batcher = narrow
    app = make_app(batcher, {"localhost"}, limits=Limits(answer_seconds=0))

    async def asked():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.post("/api/predict", files=form([("a.png", picture())]))

    response = asyncio.run(asked())
    assert (response.status_code, response.headers["retry-after"]) == (503, "10")
    assert "no answer within 0 seconds" in response.json()["error"]


def test_a_fault_of_the_model_is_told_and_outlived(narrow, monkeypatch, caplog):
    url, batcher = narrow
    with monkeypatch.context() as patch:
        patch.setattr(batcher, "outputs", lambda images: 1 / 0)
        response = httpx.post(f"{url}/api/predict", files=form([("a.png", picture())]))
    assert (response.status_code, response.json()) == (500, {"error": "the server failed at this"})
    assert response.headers["x-content-type-options"] == "nosniff"
    assert httpx.post(f"{url}/api/predict", files=form([("a.png", picture())])).status_code == 200


class Told(io.StringIO):
    """What is printed, and when."""

    def __init__(self):
        super().__init__()
        self.first = threading.Event()

    def flush(self):
        self.first.set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_stop(number, bundle, tmp_path, monkeypatch, capsys):
    told, answers = Told(), []
    monkeypatch.setenv("SKINJAX_DATA", str(tmp_path))
    monkeypatch.setattr(sys, "stdout", told)

    def client():
        told.first.wait(20)
        (url,) = re.findall(r"^(http://localhost:\d+) ", told.getvalue())
        answers.append(httpx.post(f"{url}/api/predict", files=form([("a.png", picture())])).json()["answers"][0])
        os.kill(os.getpid(), number)

    before, thread = signal.getsignal(number), threading.Thread(target=client)
    thread.start()
    assert cli.main(["serve", str(bundle), "--port=0"]) == 0
    thread.join()
    assert answers[0]["prediction"] in CLASSES
    assert capsys.readouterr().err.splitlines() == ["Research use only, not a medical device.", "stopped"]
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port=99999"], "no number from 0 to 65535"),
        (["--host=no.such.host.invalid"], "cannot listen at no.such.host.invalid"),
        (["--port=TAKEN"], "give another --port"),
        (["--port=0", "--prior=even"], "unknown prior 'even'"),
    ],
)
def test_mistakes_are_told_in_a_sentence(arguments, said, bundle, server, capsys):
    taken = server[0].rpartition(":")[2]
    status = cli.main(["serve", str(bundle), *(of.replace("TAKEN", taken) for of in arguments)])
    errors = capsys.readouterr().err
    assert (status, errors.count("\n")) == (1, 1)
    assert said in errors


def test_who_lacks_fastapi_is_told_what_to_install(bundle, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert cli.main(["serve", str(bundle)]) == 1
    assert "pip install 'skinjax[serve]'" in capsys.readouterr().err
