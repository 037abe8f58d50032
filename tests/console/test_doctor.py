"""What the doctor makes of what it sees; the look at a real cluster is in ``test_bare_cluster``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from sparkml_dist.console import cluster_checks, machine_checks
from sparkml_dist.console.findings import as_json, as_table, bad, good, plain, status_of
from sparkml_dist.console.worker_look import worker_look
from tests.console.commands import sparkml_dist

PACKAGES = ["sparkml-dist", "numpy", "pyspark", *cluster_checks._EXTRA]


@pytest.fixture
def own():
    look, _ = worker_look(PACKAGES, [], "token")
    return look()


def other(own, **changes):
    versions = {**own["versions"], **changes.pop("versions", {})}
    return {**own, "host": "worker-2", "versions": versions, **changes}


def test_a_worker_reports_what_it_is(own):
    assert own["executable"] == sys.executable
    assert own["versions"]["numpy"]
    assert abs(own["time"] - time.time()) < 60
    assert own["memory"] > 1 << 28


def test_workers_like_the_driver_are_well(own):
    assert cluster_checks._python(own, [own, other(own)]).state == "ok"
    (found, *_) = cluster_checks._packages(own, [own, other(own)], PACKAGES)
    assert found.state == "ok"
    assert f"numpy {own['versions']['numpy']}" in found.found


def test_another_version_of_a_package_on_one_worker(own):
    reports = [own, other(own, versions={"numpy": "1.0"})]
    (found,) = cluster_checks._packages(own, reports, PACKAGES)
    assert (found.name, found.state) == ("package numpy", "wrong")
    assert "1.0 on worker-2" in found.found
    assert "sparkml-dist pack" in found.remedy


def test_a_missing_extra_is_no_fault(own):
    own = {**own, "versions": {**own["versions"], "lightgbm": "4.7"}}
    reports = [other(own, versions={"lightgbm": ""})]
    found = cluster_checks._packages(own, reports, PACKAGES)
    assert [f.state for f in found] == ["ok", "note"]
    assert found[1].name == "the driver's only" and "lightgbm 4.7" in found[1].found


def test_another_python(own):
    found = cluster_checks._python(own, [other(own, python="3.9.2", executable="/bin/python3")])
    assert found.state == "wrong"
    assert "3.9.2 (/bin/python3) on worker-2" in found.found
    assert "spark.pyspark.python" in found.remedy


def test_tensorflow_without_its_horovod(own):
    with_it = other(own, versions={"tensorflow-cpu": "2.21.0"}, horovod=True)
    without = {**with_it, "horovod": False, "host": "worker-3"}
    assert cluster_checks._horovod([with_it]).state == "ok"
    found = cluster_checks._horovod([with_it, without])
    assert found.state == "wrong" and "worker-3" in found.found
    neither = other(own, versions={"tensorflow": "", "tensorflow-cpu": ""})
    assert cluster_checks._horovod([neither]).state == "note"


def test_a_clock_that_differs():
    assert cluster_checks._clock({"a": 0.0, "b": 1.0}).state == "ok"
    found = cluster_checks._clock({"a": 0.0, "b": 100.0})
    assert found.state == "wrong" and "of b differs by at least 100 s" in found.found


def test_a_folder_that_one_worker_does_not_share(own, tmp_path):
    place = str(tmp_path)
    seen = other(own, folders={place: ""})
    assert cluster_checks._folder(place, [seen, seen], 2).state == "ok"
    blind = other(own, folders={place: "No such file"})
    assert (
        "not seen on worker-2: No such file"
        in cluster_checks._folder(place, [seen, blind], 1).found
    )
    # A folder of the same name on each machine.
    assert cluster_checks._folder(place, [seen, seen], 0).state == "wrong"


def test_workers_read_and_write_a_shared_folder(tmp_path):
    token = "token"
    tmp_path.joinpath(token).write_text("seen")
    missing = str(tmp_path / "missing")
    look, _ = worker_look([], [str(tmp_path), missing], token)
    found = look()["folders"]
    assert found[str(tmp_path)] == "" and found[missing]
    assert len([p for p in tmp_path.iterdir() if p.name.startswith("token-")]) == 1


def test_the_table_and_the_document():
    findings = [good("Java", "17"), plain("Arrow", "10,000 rows", "more"), bad("disk", "full", "x")]
    lines = as_table(findings).splitlines()
    assert lines[0] == "✓ Java   17"
    assert lines[1:3] == ["· Arrow  10,000 rows", "         → more"]
    assert lines[-1] == "3 looked at, 1 to mend"
    assert status_of(findings) == 12 and status_of(findings[:2]) == 0
    assert json.loads(as_json(findings))["findings"][2]["remedy"] == "x"


def test_java_of_another_age(tmp_path, monkeypatch):
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    for version, state in {"1.8.0_392": "wrong", "17.0.9": "ok", "25": "ok"}.items():
        java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
        java.chmod(0o755)
        assert machine_checks._java().state == state
    java.unlink()
    assert "There is no java" in machine_checks._java().found


def test_the_doctor_on_this_machine(tmp_path):
    done = sparkml_dist("doctor", "--json", "--folder", tmp_path, "--folder", "/proc/none")
    document = json.loads(done.stdout)
    states = {f["name"]: f["state"] for f in document["findings"]}
    assert states["Python"] == states["packages"] == states[f"folder {tmp_path}"] == "ok"
    assert states["folder /proc/none"] == "wrong"
    assert done.returncode == document["status"] == 12
    assert not list(tmp_path.iterdir())


def test_the_main_for_spark_hides_no_module_of_the_standard_library():
    folder = Path(machine_checks.__file__).parent / "mains"
    assert not {path.stem for path in folder.glob("*.py")} & sys.stdlib_module_names
