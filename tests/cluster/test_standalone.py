"""Gangs on a real standalone cluster: a master and two workers, which announce made-up GPUs."""

from __future__ import annotations

import os
import sys

import pytest

from tests.standalone import StandaloneCluster

pytestmark = pytest.mark.long

ON = "tests.cluster.on_standalone"
# Far above what is needed on a busy machine, far below the timeouts of gangs, Horovod and Spark.
SECONDS = 120


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    # This interpreter lacks Horovod on worker 1.
    folder = tmp_path_factory.mktemp("standalone")
    bare = folder / "bare"
    bare.mkdir()
    (bare / "sitecustomize.py").write_text("import sys\nsys.modules['horovod'] = None\n")
    python = folder / "python"
    python.write_text(
        f'#!/bin/sh\n[ -z "$BARE" ] || export PYTHONPATH="$BARE:$PYTHONPATH"\n'
        f'exec "{sys.executable}" "$@"\n'
    )
    python.chmod(0o755)
    environments = {1: {"BARE": str(bare)}}
    with StandaloneCluster(folder, cores=2, gpus=2, environments=environments) as running:
        yield running


@pytest.fixture(scope="module")
def shown(cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    arguments = {
        "folder": str(folder),
        "pid": cluster.worker_pids()[1],
        "python": str(cluster.folder / "python"),
        "sums": os.environ.get("SPARKML_DIST_TEST_PROFILE") == "long",
    }
    return cluster.run(f"{ON}:shown", arguments), folder


def test_the_cluster_is_what_it_should_be(shown):
    found, _ = shown
    assert found["info"] == ["standalone", 4, False]


def test_seats_over_two_executors_of_one_host(shown):
    seats = shown[0]["seats"]
    # Spark knows an executor by the address it speaks from, which on loopback is one for all; see
    # test_seats and test_two_hosts for several.
    assert {s["host"] for s in seats} == {"127.0.0.1"}
    assert [s["rank"] for s in seats] == [0, 1, 2, 3]
    assert [s["local"] for s in seats] == [[0, 4], [1, 4], [2, 4], [3, 4]]
    assert {tuple(s["cross"]) for s in seats} == {(0, 1)}
    assert {s["interface"] for s in seats} == {"lo"}
    assert sorted(s["work_folder"] for s in seats) == ["work-0", "work-0", "work-1", "work-1"]


def test_each_rank_sees_the_gpu_of_its_task_and_no_other(shown):
    seats = shown[0]["seats"]
    for folder in ("work-0", "work-1"):
        here = [s for s in seats if s["work_folder"] == folder]
        assert sorted(s["visible"] for s in here) == ["0", "1"]
    assert all(s["gpus"] == [s["visible"]] for s in seats)
    assert all(s["grows"] == "true" for s in seats)
    # Both workers stand on this one machine and announce the same two, which NCCL would not bear.
    assert all(s["shared"] for s in seats)


def test_events_stream_from_rank_0_to_the_driver(shown):
    events = shown[0]["events"]
    assert [name for name, _ in events] == ["here"]
    assert events[0][1] < 1.5  # while the gang still ran


# Of a local cluster's two executors: `test_allreduce` in `test_gang.py`.
@pytest.mark.long
def test_a_sum_over_two_executors(shown):
    assert shown[0]["sums"] == [[3.0, 2, 2, 1, "0"]] * 2


def test_too_many_ranks(shown):
    assert shown[0]["too_many"]["code"] == "too_few_slots"


def test_a_killed_rank(shown):
    found, folder = shown
    error = found["killed"]
    assert (error["code"], error["rank"]) == ("rank_died", 2)
    assert "SIGKILL" in error["text"]
    assert error["seconds"] < SECONDS
    assert (folder / "rank-2.log").exists()
    assert found["after"] == [0, 1, 2, 3]  # the cluster is none the worse for it


def test_one_worker_whose_interpreter_lacks_horovod(shown):
    error = shown[0]["lacks_horovod"]
    assert (error["type"], error["code"]) == ("ResourceError", "worker_packages")
    assert "cannot import: horovod" in error["text"]
    assert error["seconds"] < SECONDS


def test_a_killed_worker(shown):
    found = shown[0]["without_a_worker"]
    assert found["lost"]["code"] in ("rank_lost", "gang_job_failed")
    assert found["lost"]["seconds"] < SECONDS
    assert found["too_many"]["code"] == "too_few_slots"
    assert found["after"] == [0, 1]
