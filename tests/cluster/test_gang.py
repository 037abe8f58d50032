"""Gangs over a real Spark: results, events, and every way in which a rank can fail."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time

import psutil
import pytest

from sparkml_dist.cluster.gang import WARM_RANKS, run_gang
from sparkml_dist.errors import ConfigurationError, ResourceError, TrainingError
from sparkml_dist.persistence.filesystem import Folder
from tests.long import cases

# Far above what is needed on a busy machine, far below every timeout of Horovod and Spark.
SECONDS = 20


def _allreduce(context, payload):
    import horovod.tensorflow as hvd
    import tensorflow as tf

    hvd.init()
    own = tf.constant([float(context.rank + 1), payload["x"]])
    total = hvd.allreduce(own, op=hvd.Sum).numpy().tolist()
    assert (hvd.rank(), hvd.size()) == (context.rank, context.size)
    print(f"sum on rank {context.rank}: {total}")
    threads = {k: v for k, v in os.environ.items() if k.endswith("_THREADS")}
    return {
        "total": total,
        "place": [context.local_rank, context.local_size, context.cross_rank, context.cross_size],
        "pid": os.getpid(),
        "threads": threads,
        "secret": "SECRET" in str(sorted(os.environ)),
    }


@pytest.mark.modes
def test_allreduce(spark, tmp_path):
    results = run_gang(
        spark,
        2,
        _allreduce,
        {"x": 2.5},
        log_folder=Folder.at(tmp_path),
        preload=("sparkml_dist.deep.backend.with_horovod",),
    )
    values = [r.value for r in results]
    assert [r.rank for r in results] == [0, 1]
    assert [v["total"] for v in values] == [[3.0, 5.0]] * 2
    assert [v["place"] for v in values] == [[0, 2, 0, 1], [1, 2, 0, 1]]
    assert values[0]["pid"] != values[1]["pid"]
    assert set(values[0]["threads"].values()) == {"1"}
    assert values[0]["threads"]["TF_NUM_INTRAOP_THREADS"] == "1"
    assert not values[0]["secret"]
    assert all(r.peak_rss_mb > 100 and r.seconds > 0 for r in results)
    assert "sum on rank 1: [3.0, 5.0]" in (tmp_path / "rank-1.log").read_text()


@pytest.mark.long
def test_ranks_come_together_where_strangers_throng(spark):
    """They fill the control line and the store by which Horovod's ranks find each other."""
    doors, held, over = set(), [], threading.Event()

    def throng():
        while not over.is_set():
            for door in _doors():
                doors.add(door)
                for _ in range(150):
                    with contextlib.suppress(OSError):
                        held.append(socket.create_connection(("127.0.0.1", door), 0.2))
                        held[-1].send(b"P")
            for old in held[:-600]:
                old.close()
            del held[:-600]
            time.sleep(0.05)

    thread = threading.Thread(target=throng, daemon=True)
    thread.start()
    try:
        results = run_gang(
            spark, 2, _allreduce, {"x": 2.5}, preload=("sparkml_dist.deep.backend.with_horovod",)
        )
    finally:
        over.set()
        thread.join()
        for connection in held:
            connection.close()
    assert [r.value["total"] for r in results] == [[3.0, 5.0]] * 2
    assert len(doors) >= 2


def _doors():
    """Return the ports on which the Python workers of this process' Spark listen."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "pyspark.daemon" in process.cmdline():
                found += [
                    c.laddr.port for c in process.net_connections("tcp4") if c.status == "LISTEN"
                ]
    return found


@pytest.mark.long
def test_a_gang_without_warm_ranks(spark):
    """The processes of the ranks begin from nothing; a bad setting is refused before any job."""
    try:
        spark.conf.set(WARM_RANKS, "0")
        found = run_gang(spark, 2, _parent, preload=("sparkml_dist.cluster.memory",))
        assert len({r.value for r in found}) == 2
        spark.conf.set(WARM_RANKS, "30")
        found = run_gang(spark, 2, _parent, preload=("sparkml_dist.cluster.memory",))
        assert len({r.value for r in found}) == 1
        spark.conf.set(WARM_RANKS, "ever")
        with pytest.raises(ConfigurationError, match=r"invalid_param.*Got 'ever'"):
            run_gang(spark, 2, _parent)
    finally:
        spark.conf.unset(WARM_RANKS)


def _parent(context, payload):
    return os.getppid()


def _fails(context, how):
    print(f"rank {context.rank} is here", flush=True)
    if context.rank == 1:
        match how:
            case "killed":
                os.kill(os.getpid(), 9)
            case "segfault":
                import ctypes

                ctypes.string_at(0)
            case "exits":
                os._exit(7)
            case "raises":
                raise ValueError("a bad value\nof two lines")
            case "refuses":
                raise ConfigurationError("my_code", "It cannot be.", "Do otherwise.")
            case "unserialisable":
                return object()
    time.sleep(120)
    return None


@pytest.mark.modes
def test_a_killed_rank_ends_the_gang(spark, tmp_path):
    begun = time.monotonic()
    with pytest.raises(TrainingError) as caught:
        run_gang(spark, 2, _fails, "killed", log_folder=Folder.at(tmp_path))
    assert time.monotonic() - begun < SECONDS
    error = caught.value
    assert error.code == "rank_died"
    assert "Rank 1" in error.message
    assert "SIGKILL" in error.message
    assert "rank 1 is here" in error.message
    assert (error.rank, error.log_tail) == (1, ["rank 1 is here"])
    assert "memory" in error.hint
    assert (tmp_path / "rank-1.log").read_text() == "rank 1 is here\n"


def test_an_error_of_the_toolkit_comes_back_as_itself(spark):
    with pytest.raises(ConfigurationError) as caught:
        run_gang(spark, 2, _fails, "refuses")
    error = caught.value
    assert (error.code, error.message, error.hint) == ("my_code", "It cannot be.", "Do otherwise.")
    assert error.rank == 1


WAYS_TO_FAIL = [
    ("raises", "rank_failed", "ValueError: a bad value"),
    ("exits", "rank_died", "exit code 7"),
    ("segfault", "rank_died", "SIGSEGV"),
    ("unserialisable", "rank_failed", "must be JSON values"),
]


@pytest.mark.parametrize(
    ("how", "code", "text"),
    cases(WAYS_TO_FAIL, [WAYS_TO_FAIL[0], WAYS_TO_FAIL[2]]),
)
def test_ways_to_fail(spark, how, code, text):
    begun = time.monotonic()
    with pytest.raises(TrainingError) as caught:
        run_gang(spark, 2, _fails, how)
    assert time.monotonic() - begun < SECONDS
    assert caught.value.code == code
    assert text in caught.value.message
    assert caught.value.rank == 1


def _kills_its_task(context, _):
    time.sleep(1.0)
    if context.rank == 1:
        os.kill(os.getppid(), 9)
    time.sleep(120)


@pytest.mark.modes
def test_a_lost_task_ends_the_gang_and_its_children(spark, tmp_path):
    begun = time.monotonic()
    with pytest.raises(TrainingError) as caught:
        run_gang(spark, 2, _kills_its_task, env={"GANG_TEST": str(tmp_path)})
    assert time.monotonic() - begun < 2 * SECONDS
    assert caught.value.code in ("rank_lost", "gang_job_failed")
    deadline = time.monotonic() + SECONDS
    while (left := _running(str(tmp_path))) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left


def _running(mark: str) -> list[int]:
    """Return the processes that have `mark` in their environment."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if f"GANG_TEST={mark}".encode() in file.read():
                        found.append(int(name))
            except OSError:
                continue
    return found


def _stops(context, _):
    import signal

    if context.rank == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(120)


def test_a_silent_rank(spark):
    with pytest.raises(TrainingError) as caught:
        run_gang(spark, 2, _stops, silence_timeout=3)
    assert caught.value.code == "rank_silent"
    assert caught.value.rank == 1


def _stops_its_task(context, who):
    import signal

    time.sleep(1.0)
    if context.rank == who:
        os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(120)


@pytest.mark.long
@pytest.mark.parametrize("who", cases([0, 1], [1]))
def test_a_stopped_task_ends_the_gang_and_its_children(spark, tmp_path, who):
    """Its rank goes on, but nobody hears of it; Spark itself would wait for it for ever."""
    begun = time.monotonic()
    with pytest.raises(TrainingError) as caught:
        run_gang(
            spark, 2, _stops_its_task, who, env={"GANG_TEST": str(tmp_path)}, silence_timeout=3
        )
    assert time.monotonic() - begun < 2 * SECONDS
    assert (caught.value.code, caught.value.rank) == ("rank_silent", who)
    assert "sent no heartbeat for 3 s: its Spark task is stopped" in caught.value.message
    deadline = time.monotonic() + SECONDS
    while (left := _running(str(tmp_path))) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left
    assert [r.value for r in run_gang(spark, 2, _emits, 1)] == [0, 1]


@pytest.mark.long
def test_heartbeats_come_often_enough_for_any_timeout(spark):
    assert [r.value for r in run_gang(spark, 2, _emits, 6, silence_timeout=2)] == [0, 1]


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_a_silence_of_no_time_is_refused(spark, seconds):
    with pytest.raises(ConfigurationError, match="invalid_param"):
        run_gang(spark, 2, _emits, 1, silence_timeout=seconds)


def _sends_too_much(context, _):
    context.advance("x" * 2_000_000)
    if context.rank == 1:
        time.sleep(1.0)
        raise ValueError("y" * 5_000_000)
    time.sleep(120)


@pytest.mark.long
def test_an_error_of_any_length_comes_back(spark):
    with pytest.raises(TrainingError, match=r"rank_failed.*ValueError: yyy") as caught:
        run_gang(spark, 2, _sends_too_much)
    assert caught.value.rank == 1


def test_a_rank_that_does_not_start(spark):
    with pytest.raises(TrainingError) as caught:
        run_gang(spark, 2, _stops, preload=("tests.cluster.slow_to_import",), start_timeout=2)
    assert caught.value.code == "rank_not_started"


def _advances(context, how):
    for i in range(3 if context.rank == 1 and how == "behind" else 6):
        context.advance(f"reading batch {i}")
        time.sleep(0.05)
    _wait_for_a_file_that_never_comes()


def _wait_for_a_file_that_never_comes():
    time.sleep(120)


@pytest.mark.parametrize("how", cases(["behind", "level"], ["behind"]))
def test_a_gang_that_stands_still(spark, tmp_path, how):
    with pytest.raises(TrainingError) as caught:
        run_gang(spark, 2, _advances, how, log_folder=Folder.at(tmp_path), stall_timeout=2)
    error = caught.value
    assert error.code == "gang_stalled"
    if how == "behind":
        assert error.rank == 1
        assert "Rank 1" in error.message
        assert "is behind at advance 3 (last: reading batch 2), while others have reached 6" in (
            error.message
        )
    else:
        assert "stopped, like all ranks, at advance 6" in error.message
    # The stack says where it waits; that of every rank is in its log.
    assert "_wait_for_a_file_that_never_comes" in "\n".join(error.log_tail)
    for rank in range(2):
        log = (tmp_path / f"rank-{rank}.log").read_text()
        assert "_wait_for_a_file_that_never_comes" in log


def test_a_rank_that_cannot_import_what_it_needs(spark):
    begun = time.monotonic()
    with pytest.raises(ResourceError) as caught:
        run_gang(spark, 2, _emits, 1, preload=("tests.cluster.lacks_horovod",))
    assert time.monotonic() - begun < SECONDS
    error = caught.value
    assert error.code == "rank_imports"
    assert "No module named 'horovod_of_no_kind'" in error.message
    assert os.path.basename(os.environ["PYSPARK_PYTHON"]) in error.message


def _emits(context, n):
    for i in range(n):
        context.emit("epoch", epoch=i, by=context.rank)
        time.sleep(0.4)
    return context.rank


@pytest.mark.parametrize("local", cases([True, False], [False]))
def test_events_of_rank_0_reach_the_driver_once_and_in_order(spark, tmp_path, local):
    seen = []
    folder = Folder.at(tmp_path) if local else None
    results = run_gang(
        spark,
        2,
        _emits,
        5,
        log_folder=folder,
        on_event=lambda e: seen.append((e["epoch"], e["by"], time.time() - e["time"])),
    )
    assert [(e, r) for e, r, _ in seen] == [(i, 0) for i in range(5)]
    assert [r.value for r in results] == [0, 1]
    if local:  # while the gang still runs
        assert seen[0][2] < 1.5


def test_too_many_ranks_are_refused_at_once(spark):
    begun = time.monotonic()
    with pytest.raises(ResourceError) as caught:
        run_gang(spark, 64, _emits, 1)
    assert caught.value.code == "too_few_slots"
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("ranks", [0, -1, 1.5, "2", True])
def test_invalid_ranks(spark, ranks):
    with pytest.raises(ConfigurationError, match="invalid_param"):
        run_gang(spark, ranks, _emits, 1)


def test_dynamic_allocation_is_refused(spark, monkeypatch):
    from sparkml_dist.cluster import gang

    monkeypatch.setattr(gang, "has_dynamic_allocation", lambda _: True)
    # No executor is there as yet, and none is waited for.
    monkeypatch.setattr(gang, "await_slots", lambda *_, **__: pytest.fail("waits"))
    with pytest.raises(ResourceError, match="dynamic_allocation"):
        run_gang(spark, 2, _emits, 1)


def test_missing_packages_are_refused_before_the_gang(spark):
    with pytest.raises(ResourceError, match="no_such_package"):
        run_gang(spark, 2, _emits, 1, required=("no_such_package",))
