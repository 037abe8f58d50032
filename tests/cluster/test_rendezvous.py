"""The key-value store that Horovod's ranks find each other by."""

from __future__ import annotations

import http.client
import threading

import pytest

from sparkml_dist.cluster.rendezvous import RendezvousServer


@pytest.fixture
def server():
    with RendezvousServer("127.0.0.1") as running:
        yield running


def _ask(server, method, path, body=None, prefix=None):
    address = server.environment["HOROVOD_GLOO_RENDEZVOUS_ADDR"]
    port = server.environment["HOROVOD_GLOO_RENDEZVOUS_PORT"]
    # As Horovod builds it: "http://" + address + ":" + port + "/scope/key".
    place, _, rest = f"{address}:{port}".partition("/")
    connection = http.client.HTTPConnection(place, timeout=5)
    connection.request(method, f"/{rest if prefix is None else prefix}{path}", body=body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_put_get_delete(server):
    assert _ask(server, "GET", "/global/0") == (404, b"")
    assert _ask(server, "PUT", "/global/0", b"\x00address") == (200, b"")
    assert _ask(server, "GET", "/global/0") == (200, b"\x00address")
    assert _ask(server, "GET", "/local_h/0")[0] == 404
    assert _ask(server, "DELETE", "/global/0")[0] == 200
    assert _ask(server, "GET", "/global/0")[0] == 404
    assert _ask(server, "DELETE", "/nowhere/9")[0] == 200


@pytest.mark.parametrize("prefix", ["", "wrong", "0" * 32])
def test_a_stranger_is_refused(server, prefix):
    assert _ask(server, "PUT", "/global/0", b"x", prefix=prefix)[0] in (400, 403)
    assert _ask(server, "GET", "/global/0")[0] == 404


def test_malformed_requests(server):
    assert _ask(server, "GET", "/global")[0] == 400
    assert _ask(server, "PUT", "/global/a/b", b"x")[0] == 400


def test_listens_on_one_address_only(server):
    assert server._server.server_address[0] == "127.0.0.1"


def test_many_clients_at_once(server):
    errors = []

    def use(i):
        try:
            assert _ask(server, "PUT", f"/s/{i}", str(i).encode())[0] == 200
            assert _ask(server, "GET", f"/s/{i}") == (200, str(i).encode())
        except AssertionError as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(i,)) for i in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
