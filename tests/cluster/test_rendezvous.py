"""The key-value store that Horovod's ranks find each other by."""

from __future__ import annotations

import http.client
import socket
import threading
import time

import pytest

from sparkml_dist.cluster.rendezvous import RendezvousServer, has_rounds, next_round
from tests.cluster.strangers import Crowd, hung_up


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


def test_every_start_of_horovod_has_a_part_of_its_own(server):
    environment = server.environment
    assert has_rounds(environment)
    assert _ask(server, "PUT", "/global/0", b"first")[0] == 200
    next_round(environment)
    again = environment["HOROVOD_GLOO_RENDEZVOUS_PORT"]
    assert again != server.environment["HOROVOD_GLOO_RENDEZVOUS_PORT"]
    prefix = f"{server.secret}:{again}"
    assert _ask(server, "GET", "/global/0", prefix=prefix)[0] == 404
    assert _ask(server, "PUT", "/global/0", b"second", prefix=prefix)[0] == 200
    assert _ask(server, "GET", "/global/0") == (200, b"first")
    assert _ask(server, "GET", "/global/0", prefix=f"{server.secret}:x")[0] == 400


def test_a_store_of_horovods_own_launcher_has_no_rounds():
    of_horovodrun = {
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": "10.0.0.1",
        "HOROVOD_GLOO_RENDEZVOUS_PORT": "4711",
    }
    assert not has_rounds(of_horovodrun)
    assert not has_rounds({})


def test_malformed_requests(server):
    assert _ask(server, "GET", "/global")[0] == 400
    assert _ask(server, "PUT", "/global/a/b", b"x")[0] == 400


def test_listens_on_one_address_only(server):
    assert server._acceptor._listener.getsockname()[0] == "127.0.0.1"


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


def _raw(server, said):
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(said)
    return connection


def test_ranks_find_each_other_where_strangers_throng(server):
    before = threading.active_count()
    for anew in (False, True):
        with Crowd(lambda: _raw(server, b"PUT /"), 300, anew=anew):
            assert threading.active_count() <= before + 1  # the crowd's own
            assert len(server._acceptor._pending) <= 128
            for i in range(20):
                assert _patiently(server, "PUT", f"/s/{i}", str(i).encode())[0] == 200
                assert _patiently(server, "GET", f"/s/{i}") == (200, str(i).encode())


def _patiently(server, *request):
    """Ask again where the store hung up, as Horovod does."""
    for _ in range(50):
        try:
            return _ask(server, *request)
        except (OSError, http.client.HTTPException):
            continue
    raise AssertionError("nobody gets in")


@pytest.mark.parametrize(
    "said",
    [
        b"PUT /global/0 HTTP/1.0\r\nContent-Length: 99999999999\r\n\r\n",
        b"PUT /wrong:1/global/0 HTTP/1.0\r\nContent-Length: 1000000\r\n\r\nx",
        b"PUT /SECRET:1/global/0 HTTP/1.0\r\nContent-Length: 1048577\r\n\r\nx",
        b"PUT /SECRET:1/global/0 HTTP/1.0\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nx",
        b"PUT /SECRET:1/global/0 HTTP/1.0\r\nContent-Length: \xb2\r\n\r\nx",
        b"PUT /SECRET:1/global/0 HTTP/1.0\r\nContent-Length: -1\r\n\r\nx",
        b"GET /SECRET:\xb2/global/0 HTTP/1.0\r\n\r\n",
        b"PUT /" + b"x" * 100_000,
        b"\0" * 100_000,
        b"\r\n\r\n",
        b"GET /SECRET:1/global/0 HTTP/9.9\r\n\r\n",
        b"GET /SECRET:1/global/0 HTTP/1.0\r\n" + b"a: b\r\n" * 1000 + b"\r\n",
    ],
    ids=range(12),
)
def test_what_makes_no_sense_is_hung_up_on_at_once(server, said):
    with _raw(server, said.replace(b"SECRET", server.secret.encode())) as stranger:
        assert hung_up(stranger, 3)
    assert _ask(server, "GET", "/global/0") == (404, b"")
    assert not server._acceptor._pending


def test_a_request_may_come_in_parts_but_not_for_ever(server, monkeypatch):
    whole = f"PUT /{server.secret}:1/a/b HTTP/1.0\r\nContent-Length: 4\r\n\r\nabcd".encode()
    with _raw(server, whole[:20]) as connection:
        for i in range(20, len(whole)):
            connection.sendall(whole[i : i + 1])
        assert connection.recv(100).startswith(b"HTTP/1.0 200")
    assert _ask(server, "GET", "/a/b") == (200, b"abcd")
    monkeypatch.setattr(server._acceptor, "_seconds", 0.5)
    begun = time.monotonic()
    with _raw(server, whole[:-1]) as connection:
        assert hung_up(connection, 5)
    assert time.monotonic() - begun < 3
