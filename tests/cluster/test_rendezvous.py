"""The key-value store that Horovod's ranks find each other by."""

from __future__ import annotations

import http.client
import threading

import pytest

from sparkml_dist.cluster.rendezvous import RendezvousServer, has_rounds, next_round


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
