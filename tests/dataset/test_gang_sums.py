"""Sums in a gang: the bits of Spark jobs, for any number of ranks; lost ranks, forged frames."""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from sparkml_dist.cluster.control_wire import ForgedMessageError
from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.cluster.rendezvous import RendezvousServer
from sparkml_dist.cluster.sums.frames import RANK_GONE, Frames
from sparkml_dist.dataset.block_solver import choose_form, run_solver
from sparkml_dist.dataset.gang_sums import GangWork, packed, run_rank, unpacked
from sparkml_dist.dataset.held_blocks import HeldBlocks
from sparkml_dist.dataset.sums import JobSums
from sparkml_dist.errors import ConfigurationError, DataError, TrainingError
from tests.written import written


def data_of(folder, shards=5, precision="float64"):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(240, 3)) * [1, 1e3, 1e-3] + 7
    return written(folder, X, X @ [1, 2, 3], shards=shards, groups=3, precision=precision)


def descend(sums, steps):
    """Take a few steps of a descent: every bit of a sum decides the next one."""
    w = np.zeros(3)
    for _ in range(steps):
        found = sums.add(gradient, (w,))
        w = w - 1e-8 * found["gradient"]
    shards = sums.add_shards(rows_of, (len(sums.data.shards),))
    return {"w": w, "rows": shards["rows"], "passes": sums.passes}


def gradient(block, w):
    return {"gradient": block.X.T @ (block.X @ w - block.y), "rows": len(block)}


def rows_of(shard, blocks, shards):
    found = np.zeros(shards, np.int64)
    found[shard] = sum(len(block) for block in blocks)
    return {"rows": found}


def ranks(data, size, memory=1 << 30, solve=descend):
    """Run ranks as threads; return what they return."""
    token, found, errors = secrets.token_hex(8), {}, []
    work = GangWork(data, solve, 4, token, memory, "float64")

    def run(rank):
        context = RankContext(rank, size, rank, size, 0, 1)
        try:
            found[rank] = run_rank(context, work)
        except Exception as error:  # noqa: BLE001 - for the main thread
            errors.append(error)

    with RendezvousServer("127.0.0.1") as server:
        os.environ.update(server.environment)
        threads = [threading.Thread(target=run, args=(r,)) for r in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in server.environment:
            del os.environ[name]
    return found, errors


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_bits_of_one_process(tmp_path, precision):
    data = data_of(tmp_path / "d", precision=precision)
    alone = descend(HeldBlocks(data), 4)
    for size, memory in ((1, 1 << 30), (2, 1 << 30), (3, 4000), (5, 0)):
        found, errors = ranks(data, size, memory)
        assert not errors
        value = unpacked(found[0]["value"])
        assert len(found[0]["seconds"]) == 5
        assert value["w"].tobytes() == alone["w"].tobytes()
        assert value["rows"].tolist() == [48] * 5
        assert value["passes"] == 5
        assert all(found[r] is None for r in range(1, size))


def test_blocks_are_read_once_where_they_fit(tmp_path):
    data = data_of(tmp_path / "d", precision="float32")
    for memory, kept in ((1 << 20, "float64"), (5000, "float32"), (0, None)):
        blocks = HeldBlocks(data, memory=memory)
        first = blocks.add(gradient, (np.ones(3),))
        Path(data.folder.path("")).rename(tmp_path / "away")
        if kept == "float64":
            again = blocks.add(gradient, (np.ones(3),))
            assert again["gradient"].tobytes() == first["gradient"].tobytes()
        types = {str(b.X.dtype) for b in blocks._kept.values()}
        assert types == ({kept} if kept else set())
        assert blocks.kept_bytes <= memory
        (tmp_path / "away").rename(data.folder.path(""))


def test_a_failing_rank_ends_all(tmp_path):
    data = data_of(tmp_path / "d")
    found, errors = ranks(data, 3, solve=fails_in_shard_4)
    assert not found
    assert any(isinstance(e, DataError) and e.code == "not_finite" for e in errors)
    assert all(RANK_GONE in str(e) for e in errors if not isinstance(e, DataError))


def fails_in_shard_4(sums, _):
    return sums.add_shards(refuse)


def refuse(shard, _blocks):
    if shard == 4:
        raise DataError("not_finite", "A row is not finite.")
    return {"rows": 1}


def pair():
    tcp = socket.create_server(("127.0.0.1", 0))
    here, there = socket.create_connection(tcp.getsockname()), tcp.accept()[0]
    tcp.close()
    return here, there


def test_frames_that_were_tampered_with():
    here, there = pair()
    sender, receiver = Frames(here, b"a", b"b"), Frames(there, b"b", b"a")
    sender.send([b"one ", b"frame"])
    assert receiver.receive(100) == b"one frame"
    with pytest.raises(ForgedMessageError, match="is announced"):
        sender.send([b"x" * 200])
        receiver.receive(100)
    here, there = pair()
    wrong, receiver = Frames(here, b"?", b"b"), Frames(there, b"b", b"a")
    wrong.send([b"made up"])
    with pytest.raises(ForgedMessageError, match="frame 0"):
        receiver.receive(100)
    here.close()
    with pytest.raises(ConnectionError, match=RANK_GONE):
        receiver.receive(100)


def test_packed_arrays_keep_their_bits():
    given = {"a": np.array([[0.1, np.nan], [-0.0, np.inf]]), "n": np.arange(3), "t": [1, {"x": 2}]}
    back = unpacked(json.loads(json.dumps(packed(given))))
    assert back["a"].tobytes() == given["a"].tobytes()
    assert back["n"].tolist() == [0, 1, 2]
    assert back["t"] == given["t"]


def test_the_faster_form(tmp_path):
    data = data_of(tmp_path / "d")
    assert choose_form(data, 2, 2, 1 << 29) == "jobs"
    assert choose_form(data, 100, 2, 1 << 29) == "gang"


@pytest.mark.modes("connect")
def test_jobs_and_gangs(spark, tmp_path):
    data = data_of(tmp_path / "d")
    alone = descend(HeldBlocks(data), 3)
    for form in ("jobs", "gang"):
        found = run_solver(spark, data, descend, 3, form=form, ranks=2)
        assert found.value["w"].tobytes() == alone["w"].tobytes()
        assert found.form == form
    with pytest.raises(ConfigurationError, match="form"):
        run_solver(spark, data, descend, 3, form="threads")


@pytest.mark.long
def test_a_killed_rank_is_launched_again(spark, tmp_path):
    data = data_of(tmp_path / "d")
    flag = tmp_path / "killed"
    alone = descend(HeldBlocks(data), 3)
    found = run_solver(spark, data, killed_once, str(flag), form="gang", ranks=2)
    assert flag.exists()
    assert found.restarts == 1
    assert found.value["w"].tobytes() == alone["w"].tobytes()
    with pytest.raises(TrainingError, match="Rank 1") as caught:
        run_solver(spark, data, killed, None, form="gang", ranks=2, max_restarts=0)
    assert caught.value.code == "rank_died"


def killed_once(sums, flag):
    sums.add_shards(dies, (4, flag))
    return descend(sums, 3)


def killed(sums, _):
    return sums.add_shards(dies, (4, ""))


def dies(shard, blocks, wanted, flag):
    import signal

    if shard == wanted and not (flag and Path(flag).exists()):
        if flag:
            Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"rows": sum(len(b) for b in blocks)}


def test_jobs_by_shard(spark, tmp_path):
    data = data_of(tmp_path / "d")
    found = JobSums(spark, data).add_shards(rows_of, (5,))
    assert found["rows"].tolist() == [48] * 5
