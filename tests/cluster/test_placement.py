"""The places of ranks: local and cross ranks, addresses and interfaces."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.cluster.placement import (
    RankPlace,
    check_own_name,
    interface_of,
    own_address,
    rank_places,
)
from sparkml_dist.errors import ResourceError


def test_two_hosts():
    assert rank_places(["a", "b", "a"]) == [
        RankPlace(rank=0, local_rank=0, local_size=2, cross_rank=0, cross_size=2),
        RankPlace(rank=2, local_rank=0, local_size=1, cross_rank=1, cross_size=2),
        RankPlace(rank=1, local_rank=1, local_size=2, cross_rank=0, cross_size=1),
    ]


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12))
def test_any_hosts(hosts):
    found = rank_places(hosts)
    assert sorted(s.rank for s in found) == list(range(len(hosts)))
    assert found[0].rank == 0
    sizes = Counter(hosts)
    for host, seat in zip(hosts, found, strict=True):
        assert seat.local_size == sizes[host]
        level = [s for s in found if s.local_rank == seat.local_rank]
        assert seat.cross_size == len(level)
        assert sorted(s.cross_rank for s in level) == list(range(len(level)))
    # The ranks of a host follow each other.
    by_rank = [h for _, h in sorted(zip((s.rank for s in found), hosts, strict=True))]
    assert len([i for i, h in enumerate(by_rank) if i == 0 or h != by_rank[i - 1]]) == len(sizes)


def test_horovod_itself_gives_the_same_seats():
    """The oracle is Horovod's assignment of slots to hosts, for hosts of many sizes."""
    cases = [[2, 2], [1, 3], [3, 1, 2], [1], [4, 4, 4], [2, 1, 1, 5]]
    code = f"""
import json
from horovod.runner.common.util.hosts import HostInfo, get_host_assignments
for sizes in {cases}:
    slots = get_host_assignments([HostInfo(str(i), n) for i, n in enumerate(sizes)], sum(sizes))
    print(json.dumps([[s.rank, s.local_rank, s.local_size, s.cross_rank, s.cross_size]
                      for s in slots]))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for sizes, line in zip(cases, run.stdout.splitlines(), strict=True):
        hosts = [str(i) for i, n in enumerate(sizes) for _ in range(n)]
        assert [list(astuple(seat)) for seat in rank_places(hosts)] == json.loads(line)


def test_one_host_needs_no_network():
    assert own_address(["some-name", "some-name"], 1) == "127.0.0.1"
    assert interface_of("127.0.0.1") == "lo"


def test_hosts_that_differ_in_name_only():
    assert own_address(["localhost", "127.0.0.1"], 0) == "127.0.0.1"


def test_a_host_whose_name_is_its_loopback(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "localhost")
    check_own_name("127.0.0.1")  # all ranks are here
    with pytest.raises(ResourceError, match="'localhost' resolves to 127.0.0.1") as caught:
        check_own_name("203.0.113.7")
    assert caught.value.code == "address_unknown"
    assert "Map 'localhost' to 203.0.113.7" in caught.value.hint
    monkeypatch.setattr("socket.gethostname", lambda: "203.0.113.7")
    check_own_name("203.0.113.7")


def test_unknown_places():
    with pytest.raises(ResourceError, match="interface_unknown"):
        interface_of("203.0.113.7")
    with pytest.raises(ResourceError, match="address_unknown"):
        own_address(["nowhere.invalid", "other.invalid"], 0)
