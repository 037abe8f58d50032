"""An HTTP proxy in front of a store that fails, waits, cuts connections, or shows old listings."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

ERROR = b"<Error><Code>%s</Code><Message>by the test</Message></Error>"
CODES = {500: b"InternalError", 503: b"SlowDown", 403: b"AccessDenied"}


@dataclass
class Fault:
    """What happens to requests.

    Attributes
    ----------
    kind : {"status", "slow", "cut", "cut_after", "lag"}
        An error; an answer that comes late; a connection that ends in the middle of the body (of
        the request, or else of the answer), or before the answer to a request that the store has
        carried out; a listing without keys that are younger than `value` seconds.
    value : float
        Status, or seconds.
    method : str
        Pattern of the requests' methods.
    path : str
        Pattern of the requests' paths.
    times : int
        How many requests, counted by method and path; negative for all.
    """

    kind: str
    value: float = 0
    method: str = "GET|PUT|POST|HEAD|DELETE"
    path: str = ".*"
    times: int = -1
    met: int = 0
    _seen: dict[tuple[str, str], int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def takes(self, method: str, path: str) -> bool:
        """Tell whether the next request of a method and path is hit."""
        if not (re.fullmatch(self.method, method) and re.search(self.path, path)):
            return False
        with self._lock:
            seen = self._seen[method, path] = self._seen.get((method, path), 0) + 1
            hit = self.times < 0 or seen <= self.times
            self.met += hit
            return hit


class FaultyProxy:
    """Passes requests on to a store; `fault` says what goes wrong now."""

    def __init__(self, port: int) -> None:
        self.target, self.fault = port, None
        self.written: dict[str, float] = {}
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_all(self):
                proxy.handle(self)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_all

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # connections are cut on purpose
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def handle(self, request) -> None:
        path = unquote(request.path)
        fault: Fault | None = self.fault
        hit = fault is not None and fault.kind != "lag" and fault.takes(request.command, path)
        kind = fault.kind if hit else ""
        reading = request.command in ("GET", "HEAD")
        if kind == "cut" and not reading:
            request.rfile.read(min(64, int(request.headers.get("Content-Length") or 0)))
            self._cut(request)
            return
        body = _body(request)
        if kind == "slow":
            time.sleep(fault.value)
        if kind == "status":
            status = int(fault.value)
            self._answer(request, status, {}, ERROR % CODES.get(status, b"InternalError"))
            return
        inner = http.client.HTTPConnection("127.0.0.1", self.target, timeout=120)
        skipped = ("connection", "expect", "transfer-encoding", "content-length")
        headers = {k: v for k, v in request.headers.items() if k.lower() not in skipped}
        inner.request(request.command, request.path, body, headers)
        found = inner.getresponse()
        content = found.read()
        inner.close()
        if request.command in ("PUT", "POST") and found.status == 200:
            self.written[path.partition("?")[0]] = time.monotonic()
        if kind == "cut_after":
            self._cut(request)
            return
        if fault is not None and fault.kind == "lag" and "list-type=2" in path:
            content = self._older(content, path, fault)
        self._answer(request, found.status, dict(found.getheaders()), content, cut=kind == "cut")

    def _older(self, content: bytes, path: str, fault: Fault) -> bytes:
        """Return a listing without young keys."""
        bucket = path.partition("?")[0].rstrip("/")

        def kept(found: re.Match[bytes]) -> bytes:
            key = re.search(rb"<Key>(.*?)</Key>", found[0])[1].decode()
            age = time.monotonic() - self.written.get(f"{bucket}/{unquote(key)}", -1e9)
            fault.met += age < fault.value
            return b"" if age < fault.value else found[0]

        content = re.sub(rb"<Contents>.*?</Contents>", kept, content, flags=re.DOTALL)
        number = content.count(b"<Contents>") + content.count(b"<CommonPrefixes>")
        return re.sub(rb"<KeyCount>\d+<", b"<KeyCount>%d<" % number, content)

    def _answer(self, request, status, headers, content: bytes, *, cut: bool = False) -> None:
        skipped = ("connection", "transfer-encoding", "content-length", "server", "date")
        request.send_response(status)
        length = str(len(content))
        for name, value in headers.items():
            if name.lower() == "content-length" and request.command == "HEAD":
                length = value
            if name.lower() not in skipped:
                request.send_header(name, value)
        request.send_header("Content-Length", length)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self._cut(request)

    def _cut(self, request) -> None:
        request.close_connection = True
        request.wfile.flush()
        request.connection.close()


def _body(request) -> bytes:
    if "chunked" not in (request.headers.get("Transfer-Encoding") or "").lower():
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    found = b""
    while size := int(request.rfile.readline().split(b";")[0], 16):
        found += request.rfile.read(size)
        request.rfile.readline()
    while request.rfile.readline().strip():
        pass
    return found


def during(proxy: FaultyProxy, fault: Fault, action: Callable[[], object]) -> object:
    """Return what `action` returns while a fault is on."""
    proxy.fault = fault
    try:
        return action()
    finally:
        proxy.fault = None
