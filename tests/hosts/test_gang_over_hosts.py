"""Gangs over three hosts with addresses of their own: places, sums, a lost and a stopped host."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from tests.hosts.network import HostCluster, HostNetwork

pytestmark = pytest.mark.long
ON = "tests.hosts.on_hosts"
SILENCE = 10.0  # seconds, set for the faults
BOUND = 60.0  # seconds from a fault until it is reported


@pytest.fixture
def cluster(tmp_path):
    with HostNetwork(4) as network, HostCluster(tmp_path, network) as running:
        yield running


def with_fault(cluster, folder, fault):
    """Run a gang, call `fault` with the last host's rank once all run; return what is reported."""
    folder.mkdir()

    def strike():
        while len(list(folder.glob("*.here"))) < 3:
            time.sleep(0.1)
        (folder / "fault").write_text(str(time.time()))
        fault(int((folder / f"{cluster.hosts[2]}.here").read_text()))

    threading.Thread(target=strike, daemon=True).start()
    arguments = {"folder": str(folder), "silence": SILENCE}
    return cluster.run(f"{ON}:stays", arguments)


def test_the_sum_over_three_hosts_takes_the_interface_of_the_cluster(cluster):
    found = cluster.run(f"{ON}:sums")
    assert [row[:2] for row in found] == [[7.0, 3]] * 3
    assert sorted(row[2] for row in found) == cluster.hosts
    assert {row[3] for row in found} == {"wire"}
    assert {row[4].partition(":")[0] for row in found} <= {*cluster.hosts}
    print("idle after", cluster.seconds_until_idle(BOUND))


def test_a_host_whose_name_is_its_loopback_is_told(cluster):
    for address in cluster.hosts:
        cluster.network.forget_name(cluster.network.addresses.index(address))
    found = cluster.run(f"{ON}:refused")
    assert found["code"] == "address_unknown"
    assert f"Map {cluster.network.host_name!r} to 10.79.0." in found["text"]


def test_a_host_that_is_cut_off_is_reported(cluster, tmp_path):
    found = with_fault(cluster, tmp_path / "gang", lambda _: cluster.network.cut(3))
    print(found)
    assert found["code"] in ("rank_lost", "rank_silent", "gang_job_failed")
    assert found["seconds"] < BOUND
    cluster.network.join(3)
    print("idle after", cluster.seconds_until_idle(BOUND))


def test_a_rank_that_is_stopped_is_reported_and_leaves(cluster, tmp_path):
    found = with_fault(cluster, tmp_path / "gang", lambda pid: os.kill(pid, signal.SIGSTOP))
    print(found)
    assert found["code"] in ("rank_lost", "rank_silent", "gang_job_failed")
    assert SILENCE / 2 < found["seconds"] < BOUND
    print("idle after", cluster.seconds_until_idle(BOUND))
