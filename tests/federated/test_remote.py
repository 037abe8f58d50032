"""Silos as real processes that meet at a coordinator over real TLS, and attacks on the way."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import time

import pandas as pd
import pytest

from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.federated import Federation, Message
from sparkml_dist.federated.remote import Coordinator, make_certificates
from sparkml_dist.federated.remote.certificates import Credentials, Tokens
from sparkml_dist.federated.remote.coordinator import ANSWER, POLL, SERVICE
from tests.examples import ROOT
from tests.federated.processes import NAMES, SECRET, silos, start, tables

grpc = pytest.importorskip("grpc")


class Listening(Coordinator):
    """A coordinator that keeps every message of a silo as it comes out of TLS."""

    def __init__(self, *args, **kwargs):
        self.heard = []
        super().__init__(*args, **kwargs)

    def _answer(self, data, context):
        self.heard.append(data)
        return super()._answer(data, context)


@pytest.fixture
def certificates(tmp_path):
    make_certificates(tmp_path / "certificates", NAMES, hosts=["localhost", "127.0.0.1"])
    return tmp_path / "certificates"


@pytest.fixture
def coordinator(certificates):
    made = Listening(
        NAMES,
        certificates / "coordinator",
        address="localhost:0",
        round_seconds=60,
        most_bytes=1 << 20,
        close_seconds=2,
    )
    yield made
    made.close()


def test_three_silos_over_tls(coordinator, certificates, tmp_path):
    frames = tables(tmp_path)
    where = f"localhost:{coordinator.port}"
    with (
        Federation(coordinator, folder=str(tmp_path / "federation")) as federation,
        silos(where, certificates, tmp_path) as running,
    ):
        assert federation.schema.feature_names == ["a", "c", "b"]
        assert federation.schema.rows == {name: len(frame) for name, frame in frames.items()}
        classes = pd.concat(frames.values()).y.value_counts().sort_index()
        assert federation.schema.classes == [*classes.index] == ["maybe", "no", "yes"]
        assert federation.sum("rows").arrays["class_rows"].tolist() == classes.tolist()
        audit = federation.audit()
        federation.close()
        assert [process.wait(20) for process in running.values()] == [0, 0, 0]
    # What left is what the ledger says, and no value of a row is in it.
    answers = audit[audit.direction == "answer"]
    assert sorted(map(len, coordinator.heard)) == sorted(answers.bytes)
    wire = b"".join(coordinator.heard)
    for kind in "<d", ">d", "<f":
        assert struct.pack(kind, SECRET) not in wire
    assert str(SECRET).encode()[:8] not in wire
    values = frames["south"].a.to_numpy()
    assert not any(value.tobytes() in wire for value in values)
    assert not any(str(value).encode() in wire for value in values)


def call(port, certificates, party, method, data):
    """Call the server with the certificate of a party, as an attacker with its key may."""
    own = Credentials.read(certificates / party)
    secure = grpc.ssl_channel_credentials(own.authority, own.key, own.certificate)
    with grpc.secure_channel(f"localhost:{port}", secure) as channel:
        return channel.unary_unary(f"/{SERVICE}/{method}")(data, timeout=10)


def test_forged_and_replayed_answers_are_refused(coordinator, certificates, tmp_path):
    """All silos are this test, which sends what it likes."""
    coordinator.close_seconds = 0
    import threading

    federation = Federation(coordinator)
    replies = {}
    asking = threading.Thread(target=lambda: replies.update(r=federation.ask("schema", minimum=1)))
    asking.start()
    got = [
        Message.unpack(call(coordinator.port, certificates, f"silo-{n}", POLL, b"")) for n in NAMES
    ]
    assert {m.kind for m in got} == {"schema"}
    request = got[0]

    def send(party, **changes):
        parts = {
            "kind": "schema", "round": request.round, "sender": party, "run": request.run,
            "facts": {"schema": {}}, **changes,
        }  # fmt: skip
        data = parts.pop("data", None) or Message(**parts).pack()
        taken = call(coordinator.port, certificates, f"silo-{party}", ANSWER, data)
        return Message.unpack(taken).facts["refused"]

    assert send("east", round=7) == "silo_late"  # none of these costs a silo its place
    assert send("east", run="another") == "silo_late"
    assert send("east") == ""
    assert send("east") == ""  # the very same, once more
    assert send("east", facts={"schema": {"other": 1}}) == "round_repeated"
    assert send("north", sender="east") == "message_damaged"
    assert send("south", data=b"garbage") == "message_damaged"
    asking.join()
    assert replies["r"].names == ["east"]
    assert {n: f.code for n, f in replies["r"].failed.items()} == {
        "north": "message_damaged",
        "south": "message_damaged",
    }
    assert send("north") == "silo_late"
    refused = [entry.refused for entry in coordinator.refusals()]
    assert refused.count("silo_late") == 3 and "round_repeated" in refused
    with pytest.raises(grpc.RpcError) as caught:
        send("east", data=bytes(2 << 20))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(grpc.RpcError) as caught:  # no silo's certificate
        call(coordinator.port, certificates, "coordinator", POLL, b"")
    assert caught.value.code() in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAVAILABLE)
    make_certificates(certificates, ["stranger"], hosts=[])
    with pytest.raises(grpc.RpcError) as caught:  # a silo, but none of this federation
        call(coordinator.port, certificates, "silo-stranger", POLL, b"")
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_certificates(certificates, tmp_path):
    assert Credentials.read(certificates / "silo-east").silo == "east"
    make_certificates(certificates, ["a/b ü"], hosts=[])
    assert Credentials.read(certificates / "silo-a%2Fb%20%C3%BC").silo == "a/b ü"
    assert oct((certificates / "silo-east" / "key.pem").stat().st_mode & 0o777) == "0o600"
    for code, wrong in {
        "output_exists": lambda: make_certificates(certificates, ["east"], hosts=[]),
        "file_not_found": lambda: Credentials.read(tmp_path),
        "no_silo_certificate": lambda: Credentials.read(certificates / "coordinator").silo,
    }.items():
        with pytest.raises(SparkMLDistError) as caught:
            wrong()
        assert caught.value.code == code


def test_tokens(tmp_path):
    make_certificates(tmp_path, ["a/b ü", "east"], hosts=["localhost"], tokens=True)
    folder = tmp_path / "silo-east"
    own = Credentials.read(folder)
    other = Credentials.read(tmp_path / "silo-a%2Fb%20%C3%BC")
    assert (own.silo, other.silo) == ("east", "a/b ü") and own.key is None
    assert oct((folder / "token.json").stat().st_mode & 0o777) == "0o600"
    known = Tokens.read(tmp_path / "coordinator")
    assert [known.silo_of(c.metadata[0][1]) for c in (own, other)] == ["east", "a/b ü"]
    assert own.token not in (tmp_path / "coordinator" / "tokens.json").read_text()
    assert own.token not in repr(own)
    # No token, one that is cut, that of another silo, and those of silos that are not known.
    for wrong in ("", own.token[:-1], other.token, own.token + "x"):
        assert known.silo_of(f"Bearer east:{wrong}") is None
        assert known.silo_of(f"Bearer west:{wrong}") is None
    make_certificates(tmp_path, ["west"], hosts=[], tokens=True)
    later = Tokens.read(tmp_path / "coordinator")
    west = Credentials.read(tmp_path / "silo-west")
    assert later.silo_of(west.metadata[0][1]) == "west"
    assert later.silo_of(own.metadata[0][1]) == "east"
    (folder / "token.json").write_text("{}")
    for code, wrong in {
        "no_silo_certificate": lambda: Credentials.read(folder),
        "file_not_found": lambda: Tokens.read(folder),
    }.items():
        with pytest.raises(SparkMLDistError) as caught:
            wrong()
        assert caught.value.code == code


@pytest.mark.long
def test_silos_with_tokens_meet_over_tls_and_others_are_refused(tmp_path):
    frames, certificates = tables(tmp_path), tmp_path / "certificates"
    make_certificates(certificates, NAMES, hosts=["localhost"], tokens=True)
    coordinator = Listening(
        NAMES, certificates / "coordinator", address="localhost:0", round_seconds=60, tokens=True,
        close_seconds=2,
    )  # fmt: skip
    where = f"localhost:{coordinator.port}"
    thief = tmp_path / "thief"
    shutil.copytree(certificates / "silo-east", thief)
    (thief / "token.json").write_text('{"silo": "east", "token": "guessed"}')
    try:
        # Neither a guessed token, nor a certificate of the right authority, nor nothing lets in.
        process = start(where, thief, tmp_path / "east.csv", tmp_path / "home-thief")
        out, _ = process.communicate(timeout=90)
        assert (out.strip(), process.returncode) == ("peer_refused", 13)
        make_certificates(certificates, ["other"], hosts=[])
        process = start(
            where, certificates / "silo-other", tmp_path / "east.csv", tmp_path / "home-other"
        )
        out, _ = process.communicate(timeout=90)
        assert (out.strip(), process.returncode) == ("peer_refused", 13)
        # A server without the authority's certificate does not get the token.
        others = tmp_path / "others"
        make_certificates(others, NAMES, hosts=["localhost"], tokens=True)
        false = Listening(
            NAMES, others / "coordinator", address="localhost:0", close_seconds=0, tokens=True
        )
        process = start(
            f"localhost:{false.port}", certificates / "silo-east", tmp_path / "east.csv",
            tmp_path / "home-false",
        )  # fmt: skip
        out, _ = process.communicate(timeout=90)
        false.close()
        assert (out.strip(), process.returncode) == ("peer_refused", 13)
        assert not coordinator.heard and not coordinator._seen and not false._seen
        with (
            Federation(coordinator) as federation,
            silos(where, certificates, tmp_path) as running,
        ):
            counted = federation.sum("rows").arrays["rows"]
            assert counted.tolist() == [sum(map(len, frames.values()))]
            federation.close()
            assert [process.wait(20) for process in running.values()] == [0, 0, 0]
    finally:
        coordinator.close()


@pytest.mark.long
def test_nobody_is_fooled_by_another_authority(coordinator, certificates, tmp_path):
    tables(tmp_path)
    others = tmp_path / "others"
    make_certificates(others, NAMES, hosts=["localhost"])
    # A man in the middle: a server for the right host, of another authority.
    false = Listening(NAMES, others / "coordinator", address="localhost:0", close_seconds=0)
    # A silo that poses as the coordinator.
    thief = tmp_path / "thief"
    shutil.copytree(certificates / "silo-south", thief)
    posing = Listening(NAMES, thief, address="localhost:0", close_seconds=0)
    data, home = tmp_path / "east.csv", tmp_path / "home"
    # A certificate of the right authority, for another host.
    shutil.move(certificates / "coordinator", tmp_path / "here")
    make_certificates(certificates, [], hosts=["elsewhere.example"])
    elsewhere = Listening(
        NAMES, certificates / "coordinator", address="localhost:0", close_seconds=0
    )
    wrong = [false, posing, elsewhere, coordinator]
    data, home = tmp_path / "east.csv", tmp_path / "home"
    cases = [
        (false, certificates / "silo-east"),
        (posing, certificates / "silo-east"),
        (elsewhere, certificates / "silo-east"),
        (coordinator, others / "silo-east"),
    ]
    try:
        for number, (server, own) in enumerate(cases):
            where = f"localhost:{server.port}"
            process = start(where, own, data, home / str(number))
            out, _ = process.communicate(timeout=90)
            assert (out.strip(), process.returncode) == ("peer_refused", 13), number
        assert not any(server.heard or server._seen for server in wrong)
        # A silo that trusts the coordinator, which does not trust the silo.
        shutil.copy(certificates / "silo-east" / "authority.pem", others / "silo-east")
        where = f"localhost:{coordinator.port}"
        process = start(where, others / "silo-east", data, home / "x", give_up="2")
        out, _ = process.communicate(timeout=90)
        assert (out.strip(), process.returncode) == ("coordinator_lost", 12)
        assert not coordinator.heard and not coordinator._seen
    finally:
        for server in wrong[:-1]:
            server.close()


@pytest.mark.long
def test_a_coordinator_that_is_killed_goes_on(certificates, tmp_path):
    tables(tmp_path)
    main = [sys.executable, str(ROOT / "tests" / "federated" / "coordinator_main.py")]
    main += [str(certificates / "coordinator"), "localhost:0", str(tmp_path / "federation"), "30"]
    from socket import socket

    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    main[3] = address
    run = {"stdout": subprocess.PIPE, "text": True, "cwd": ROOT, "env": environment()}
    with silos(address, certificates, tmp_path) as running:
        lines = []
        for _ in range(3):  # killed twice, in the middle of its rounds
            process = subprocess.Popen(main, **run)
            if len(lines) < 2:
                found = [process.stdout.readline() for _ in range(8 * (len(lines) + 1))]
                process.kill()
                process.communicate()
                lines.append(found)
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert out.splitlines() == [f"{n} 90" for n in range(30)]
        assert [silo.wait(30) for silo in running.values()] == [0, 0, 0]


def environment():
    import os

    return os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.mark.long
def test_a_silo_that_is_killed_comes_back(certificates, tmp_path):
    tables(tmp_path)
    coordinator = Coordinator(
        NAMES, certificates / "coordinator", address="localhost:0", round_seconds=60,
        grace_seconds=3,
    )  # fmt: skip
    where = f"localhost:{coordinator.port}"
    with (
        Federation(coordinator, folder=str(tmp_path / "federation")) as federation,
        silos(where, certificates, tmp_path) as running,
    ):
        assert federation.sum("rows", minimum=3).silos == NAMES
        running["north"].kill()
        running["north"].wait()
        summed = federation.sum("rows", minimum=2)
        assert summed.silos == ["east", "south"] and summed.failed["north"].code == "silo_late"
        running["north"].stdout.close()
        running["north"] = start(
            where, certificates / "silo-north", tmp_path / "north.csv", tmp_path / "home-north"
        )
        until = time.monotonic() + 60
        while federation.sum("rows", minimum=2).silos != NAMES:
            assert time.monotonic() < until
        federation.close()
        assert [process.wait(30) for process in running.values()] == [0, 0, 0]


@pytest.mark.long
def test_silos_in_network_namespaces(certificates, tmp_path):
    ip = shutil.which("ip")
    if ip is None:
        pytest.skip("there is no command ip")

    def run(*command, check=True):
        return subprocess.run([ip, *command], capture_output=True, text=True, check=check)

    made = [f"silo{number}-{tmp_path.stat().st_ino % 10000}" for number in range(3)]
    if run("netns", "add", made[0], check=False).returncode:
        pytest.skip("this user may not make network namespaces")
    shutil.rmtree(certificates)
    hosts = [f"10.77.{number}.1" for number in range(3)]
    make_certificates(certificates, NAMES, hosts=hosts)
    tables(tmp_path)
    running = []
    try:
        for number, space in enumerate(made):
            if number:
                run("netns", "add", space)
            link, inner = f"fed{number}a", f"fed{number}b"
            run("link", "add", link, "type", "veth", "peer", "name", inner, "netns", space)
            run("addr", "add", f"{hosts[number]}/24", "dev", link)
            run("link", "set", link, "up")
            run("-n", space, "addr", "add", f"10.77.{number}.2/24", "dev", inner)
            run("-n", space, "link", "set", inner, "up")
        coordinator = Coordinator(
            NAMES, certificates / "coordinator", address="0.0.0.0:0", round_seconds=60
        )
        with Federation(coordinator, folder=str(tmp_path / "federation")) as federation:
            for number, name in enumerate(NAMES):
                running.append(
                    start(
                        f"{hosts[number]}:{coordinator.port}", certificates / f"silo-{name}",
                        tmp_path / f"{name}.csv", tmp_path / f"home-{name}",
                        ip, "netns", "exec", made[number],
                    )
                )  # fmt: skip
            assert federation.sum("rows", minimum=3).arrays["rows"].tolist() == [90.0]
            federation.close()
            assert [process.wait(30) for process in running] == [0, 0, 0]
    finally:
        for process in running:
            process.kill()
            process.communicate()
        for space in made:
            run("netns", "delete", space, check=False)


@pytest.mark.long
def test_the_example_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "federated" / "three_silos.py"), str(tmp_path)],
        capture_output=True, text=True, timeout=180, check=False, cwd=ROOT, env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "rows: 600" in done.stdout and "silos: [0, 0, 0]" in done.stdout
    page = (tmp_path / "ledger.html").read_text()
    assert "amsterdam" in page and "<script" not in page
