"""A small key-value store over HTTP, where the ranks of a gang find each other.

It speaks what Horovod's Gloo store asks of ``horovod/runner/http/http_server.py``
(``RendezvousHandler``): ``PUT /scope/key`` stores a value, ``GET /scope/key`` returns it or 404,
``DELETE /scope/key`` ends the caller's use of the scope. Two things are different: it listens on
one address only, and every path must begin with a secret. Horovod cannot send credentials, but it
builds its addresses as ``http://`` + address + ``:`` + port + ``/scope/key``; with an address of
``host:port/secret`` the secret becomes the first part of every path.

What Horovod appends as the port is then free to mean something else: the number of a round. Ranks
that start Horovod anew must not find what they left in the store before, and so each start has a
round of its own.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, MutableMapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

__all__ = ["RendezvousServer", "has_rounds", "next_round"]

_ADDRESS = "HOROVOD_GLOO_RENDEZVOUS_ADDR"
_ROUND = "HOROVOD_GLOO_RENDEZVOUS_PORT"

_REQUEST_SECONDS = 30
_LARGEST_VALUE = 1 << 20


class RendezvousServer:
    """The store, served by a thread until it is closed.

    Parameters
    ----------
    address : str
        IPv4 address that is listened on; no other interface is opened.
    secret : str, optional
        First part of every path; random by default.

    Attributes
    ----------
    port : int
        The port that the system chose.
    secret : str
        What a path must begin with.
    """

    def __init__(self, address: str, secret: str | None = None) -> None:
        self.address = address
        self.secret = secret or secrets.token_hex(16)
        self._server = _Server((address, 0), _Handler)
        self._server.secret = self.secret
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            name="sparkml_dist-rendezvous",
            daemon=True,
        )
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """What a rank's process needs in its environment to find the store."""
        return {
            _ADDRESS: f"{self.address}:{self.port}/{self.secret}",
            _ROUND: "1",
        }

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> RendezvousServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def has_rounds(environment: Mapping[str, str]) -> bool:
    """Tell whether the store that Horovod is pointed to is a `RendezvousServer`."""
    return "/" in environment.get(_ADDRESS, "") and environment.get(_ROUND, "").isdigit()


def next_round(environment: MutableMapping[str, str]) -> None:
    """Let the next start of Horovod meet in a part of the store that nothing lies in yet.

    Every rank must call it as often, where the store `has_rounds`.

    Parameters
    ----------
    environment : mutable mapping of str to str
        That of the process; changed in place.
    """
    environment[_ROUND] = str(int(environment[_ROUND]) + 1)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    secret = ""

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.lock = threading.Lock()
        self.scopes: dict[str, dict[str, bytes]] = {}
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # HTTPServer.server_bind looks the host's name up, which can take seconds without DNS.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is told by its own gang."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _REQUEST_SECONDS
    server: _Server

    def do_GET(self) -> None:
        if (place := self._place()) is None:
            return
        scope, key = place
        with self.server.lock:
            value = self.server.scopes.get(scope, {}).get(key)
        self._answer(404) if value is None else self._answer(200, value)

    def do_PUT(self) -> None:
        if (place := self._place()) is None:
            return
        scope, key = place
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _LARGEST_VALUE:
            self._answer(400)
            return
        value = self.rfile.read(int(length))
        with self.server.lock:
            self.server.scopes.setdefault(scope, {})[key] = value
        self._answer(200)

    def do_DELETE(self) -> None:
        # A rank says that it has found the others. The key it names is its number, not the one its
        # address lies under, which the others may still be looking for.
        if (place := self._place()) is None:
            return
        scope, key = place
        with self.server.lock:
            self.server.scopes.get(scope, {}).pop(key, None)
        self._answer(200)

    def _place(self) -> tuple[str, str] | None:
        parts = self.path.split("/")
        secret, _, number = parts[1].partition(":") if len(parts) == 4 else ("", "", "")
        if len(parts) != 4:
            self._answer(400)
        elif not secrets.compare_digest(secret.encode(), self.server.secret.encode()):
            self._answer(403)
        elif not number.isdigit():
            self._answer(400)
        else:
            return f"{number}/{parts[2]}", parts[3]
        return None

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing on the worker's stderr."""
