"""A hub of one's own: an HTTP server that answers as the Hugging Face hub does, and misbehaves where it is told to."""

import contextlib
import hashlib
import http.server
import re
import threading

COMMIT, OTHER_COMMIT = "a" * 40, "b" * 40
RESOLVE = re.compile(r"/([\w.-]+/[\w.-]+)/resolve/([\w.-]+)/(.+)")


class Hub:
    """`files` by (repository, commit, file name); `main` is the commit that is newest.

    wrong_sha256: announce another digest than the weights have; short: send so many bytes and hang up;
    refusal: answer everything with this status and error code; requests: what was asked for.
    """

    def __init__(self):
        self.files: dict[tuple[str, str, str], bytes] = {}
        self.main = COMMIT
        self.wrong_sha256 = ""
        self.short: int | None = None
        self.refusal = (0, "")
        self.requests: list[str] = []

    def answer(self, request: http.server.BaseHTTPRequestHandler, body: bool) -> None:
        self.requests.append(f"{request.command} {request.path}")
        match = RESOLVE.fullmatch(request.path)
        if self.refusal[0] or not match:
            return _refuse(request, *(self.refusal if match else (404, "")))
        repository, revision, name = match.groups()
        commit = self.main if revision == "main" else revision
        repositories = {key[0] for key in self.files}
        commits = {key[1] for key in self.files if key[0] == repository}
        if repository not in repositories:
            return _refuse(request, 401, "RepoNotFound")
        if commit not in commits:
            return _refuse(request, 404, "RevisionNotFound")
        content = self.files.get((repository, commit, name))
        if content is None:
            return _refuse(request, 404, "EntryNotFound", commit)
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        request.send_response(206 if start else 200)
        request.send_header("X-Repo-Commit", commit)
        announced = (name.endswith(".safetensors") and self.wrong_sha256) or hashlib.sha256(content).hexdigest()
        request.send_header("ETag", f'"{announced}"')
        request.send_header("X-Linked-Size", str(len(content)))
        request.send_header("Content-Length", str(len(content) - start))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.end_headers()
        if body:
            request.wfile.write(content[start : self.short])
            request.close_connection = True


def _refuse(request: http.server.BaseHTTPRequestHandler, status: int, code: str, commit: str = "") -> None:
    request.send_response(status)
    for header, value in {"X-Error-Code": code, "X-Repo-Commit": commit}.items():
        if value:
            request.send_header(header, value)
    request.send_header("Content-Length", "0")
    request.end_headers()


@contextlib.contextmanager
def serve():
    """(a Hub, its address) for as long as the context lasts."""
    hub = Hub()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            hub.answer(self, body=False)

        def do_GET(self):
            hub.answer(self, body=True)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
