"""The settings of Horovod's build, and the build itself."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sparkml_dist.console.build_horovod import (
    build_environment,
    build_requirements,
    build_settings,
)
from tests.console.commands import ROOT, sparkml_dist


@pytest.mark.parametrize("gpu", [False, True])
def test_both_builds_are_of_the_version_that_the_extra_pins(gpu):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    settings = build_settings(gpu=gpu)
    version = settings["dependency-metadata"][0]["version"]
    assert project["optional-dependencies"]["horovod"] == [f"horovod=={version}"]
    assert f"horovod=={version}" in (ROOT / "requirements.lock").read_text()


def test_setup_builds_with_the_same_settings():
    text = (ROOT / "scripts" / "setup.sh").read_text()
    assert "sparkml_dist/console/horovod" in text and "--config-file" in text
    assert "uv" not in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]


def test_tensorflow_is_not_installed_again_for_the_build():
    required = build_requirements(build_settings(gpu=True))
    assert "cmake<4" in required
    assert not [name for name in required if "tensorflow" in name or "shim" in name]


def test_the_environment_of_a_build(tmp_path):
    found = build_environment(build_settings(gpu=False), tmp_path, {"PATH": "/bin", "A": "b"})
    assert found["HOROVOD_WITH_GLOO"] == "1" and found["A"] == "b"
    assert found["PATH"] == f"{tmp_path}/bin:/bin"
    assert found["PYTHONPATH"] == str(tmp_path)


def test_the_environment_of_a_build_for_gpus(tmp_path):
    found = build_environment(build_settings(gpu=True), tmp_path, os.environ)
    assert found["HOROVOD_GPU_OPERATIONS"] == "NCCL"
    command = tmp_path / "bin" / found["HOROVOD_CMAKE"]
    # The command finds the shim, and asks for the compiler that only a build installs.
    done = subprocess.run([command], env=found, capture_output=True, text=True, check=False)
    assert "horovod_gpu_shim" in done.stderr and "nvidia" in done.stderr
    assert not Path(found["PYTHONPATH"].split(":")[1]).is_relative_to(tmp_path)


def test_without_a_compiler_one_line_says_so(tmp_path):
    done = sparkml_dist(
        "build-horovod", "--wheelhouse", tmp_path, environment={"PATH": "/nonexistent", "CXX": None}
    )
    assert done.returncode == 10
    assert "[compiler_not_found]" in done.stderr.splitlines()[-1]


@pytest.mark.long
def test_the_wheel_has_gloo(tmp_path):
    """Minutes: compiles Horovod, and imports it from the wheel in place of the installed one."""
    done = sparkml_dist("build-horovod", "--wheelhouse", tmp_path, "--no-install", seconds=1800)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("horovod-*.whl")
    assert done.stdout.strip() == str(wheel)
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", target]
    subprocess.run([*pip, wheel], check=True, capture_output=True)
    code = "import horovod.tensorflow as h; print(h.__file__, bool(h.gloo_built()))"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert found[0].startswith(str(target)) and found[1] == "True"
