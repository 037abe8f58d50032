"""What one rank stores at the rendezvous reaches the others, and nobody else."""

from __future__ import annotations

import threading

import pytest

from sparkml_dist.cluster.rendezvous import RendezvousServer
from sparkml_dist.cluster.rendezvous_client import rendezvous_host, shared_value
from sparkml_dist.errors import TrainingError


@pytest.fixture
def server(monkeypatch):
    with RendezvousServer("127.0.0.1") as found:
        for name, value in found.environment.items():
            monkeypatch.setenv(name, value)
        yield found


def test_those_who_wait_get_the_value(server):
    found = []
    waiting = threading.Thread(target=lambda: found.append(shared_value("place", seconds=20)))
    waiting.start()
    value = {"host": "a", "port": 7}
    assert shared_value("place", value, seconds=1) == value
    waiting.join(20)
    assert found == [value]
    assert rendezvous_host() == "127.0.0.1"


def test_waiting_ends(server):
    with pytest.raises(TrainingError, match="No rank has said"):
        shared_value("other", seconds=0.2)
