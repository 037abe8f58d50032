"""Archives of packages: what goes in, and that they work wherever they lie."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from sparkml_dist.console.archive import launcher, write_archive
from sparkml_dist.console.distributions import files_of, installed, with_requirements
from sparkml_dist.errors import ConfigurationError
from tests.console.commands import ROOT, sparkml_dist

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
BARE = {"PATH": "/usr/bin:/bin"}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """An archive of this library, without what it needs, and one other package."""
    folder = tmp_path_factory.mktemp("archive")
    among = installed()
    archive = folder / "env.tar.gz"
    write_archive(archive, [among["sparkml-dist"], among["threadpoolctl"]])
    assert [p.name for p in folder.iterdir()] == ["env.tar.gz"]
    moved = folder / "moved twice, 'here'"
    with tarfile.open(archive) as tar:
        tar.extractall(moved, filter="data")
    return moved


def python(unpacked, code, environment=None):
    return subprocess.run(
        [unpacked / "bin" / "python", "-c", code],
        env={**BARE, **(environment or {})},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_archive_works_where_it_is_unpacked(unpacked):
    code = "import sparkml_dist, threadpoolctl; print(sparkml_dist.__file__)"
    done = python(unpacked, code)
    assert done.returncode == 0, done.stderr
    site = unpacked.resolve() / "lib" / VERSION / "site-packages"
    assert Path(done.stdout.strip()) == site / "sparkml_dist" / "__init__.py"


def test_the_jobs_are_in_it(unpacked):
    jobs = unpacked / "lib" / VERSION / "site-packages" / "sparkml_dist" / "jobs"
    assert {p.name for p in jobs.iterdir()} == {p.name for p in (ROOT / "jobs").glob("*.py")}


def test_modules_that_spark_gives_come_first(unpacked, tmp_path):
    tmp_path.joinpath("threadpoolctl.py").write_text("whose = 'of Spark'")
    code = "import threadpoolctl; print(threadpoolctl.whose)"
    done = python(unpacked, code, {"PYTHONPATH": str(tmp_path)})
    assert done.stdout == "of Spark\n", done.stderr


def test_a_machine_without_that_python_says_so(tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    folder.joinpath("python").write_text(launcher("/nonexistent/python"))
    folder.joinpath("python").chmod(0o755)
    done = python(tmp_path, "pass")
    assert done.returncode == 127
    assert "--python" in done.stderr


def test_the_launcher_does_not_find_itself(tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("python", "python3"):
        folder.joinpath(name).write_text(launcher("python3"))
        folder.joinpath(name).chmod(0o755)
    done = python(tmp_path, "pass", {"PATH": f"{folder}:/bin"})
    assert done.returncode in (0, 127), done.stderr


def test_minimal_is_what_the_library_requires():
    among = installed()
    names = with_requirements(["sparkml-dist"], among)
    assert {"numpy", "scikit-learn", "pyspark", "py4j", "skops", "grpcio"} <= set(names)
    assert not {"tensorflow-cpu", "keras", "horovod", "xgboost-cpu", "pytest"} & set(names)
    assert "xgboost-cpu" in with_requirements(["sparkml_dist[boost]"], among)
    with pytest.raises(ConfigurationError, match="'scikit-lern' is not installed"):
        with_requirements(["scikit-lern"], among)


def test_the_files_of_a_distribution_lie_in_site_packages():
    names = [str(name) for _, name in files_of(installed()["threadpoolctl"])]
    assert "threadpoolctl.py" in names
    assert not [name for name in names if name.startswith(("..", "/"))]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--with", "numpy"], "conflicting_params"),
        (["--minimal", "--with", "no-such"], "distribution_not_found"),
        (["--membrs"], "usage"),
    ],
)
def test_what_pack_refuses(tmp_path, options, code):
    done = sparkml_dist("pack", "--output", tmp_path / "env.tar.gz", *options)
    assert done.returncode in (2, 10)
    (line,) = done.stderr.splitlines()
    assert f"[{code}]" in line
    assert not list(tmp_path.iterdir())


def test_pack_does_not_replace_without_being_told(tmp_path):
    tmp_path.joinpath("env.tar.gz").write_text("mine")
    done = sparkml_dist("pack", "--output", tmp_path / "env.tar.gz")
    assert done.returncode == 14
    assert "[output_exists]" in done.stderr
    assert tmp_path.joinpath("env.tar.gz").read_text() == "mine"
