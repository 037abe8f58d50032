"""What holds for the project as a whole: nothing foreign in its files, light imports, true docs."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOT_OURS = {"build", "dist", "__pycache__", "spark-warehouse", "artifacts"}
HEAVY = {"tensorflow", "keras", "horovod", "sklearn", "pyspark", "pandas", "matplotlib", "scipy"}

# Folders whose modules are imported by ranks, and in functions that need TensorFlow.
ON_TENSORFLOW = (
    *("deep/backend", "deep/embedding", "deep/train"),
    *("federated/training/keras_process", "reinforcement/networks"),
)


def files() -> list[Path]:
    """All files of the project that could be committed."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f == ".ci" or not (f in NOT_OURS or f[0] == ".")]
        found += [Path(folder, name) for name in names if not name.endswith(".pyc")]
    return found


@pytest.fixture(scope="module")
def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_files_hold_no_download_address_and_no_folder_of_this_machine():
    address = re.compile(
        r"https?://\S+\.(whl|tar\.gz|zip|jar)\b|" + "index" + "-url", re.IGNORECASE
    )
    machine = f"{ROOT}/"
    bad = []
    for path in files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        if address.search(text) or machine in text:
            bad.append(str(path.relative_to(ROOT)))
    assert not bad
    # uv's own lock file records addresses.
    assert not (ROOT / "uv.lock").exists()


def test_the_lock_pins_every_dependency_with_hashes(pyproject):
    lock = (ROOT / "requirements.lock").read_text()
    pins = re.findall(
        r"^([a-z0-9._-]+)(?:\[[^]]*\])?==\S+(?: ; [^\\]*)? \\\n +--hash=sha256:", lock, re.MULTILINE
    )
    assert len(pins) == len(re.findall(r"^[a-z]", lock, re.MULTILINE))
    project = pyproject["project"]
    wanted = project["dependencies"] + [
        requirement for extra in project["optional-dependencies"].values() for requirement in extra
    ]
    names = {re.split(r"[\[<>=!~ ;]", requirement)[0].lower() for requirement in wanted}
    assert names <= set(pins)


def test_importing_the_package_is_light():
    brought = imported_by("import sparkml_dist")
    assert not brought & HEAVY


def test_tensorflow_is_imported_in_four_folders_only():
    elsewhere = ("airflow", "dagster")  # in environments of their own
    rooms = tuple(
        f"sparkml_dist.{folder.replace('/', '.')}." for folder in (*ON_TENSORFLOW, *elsewhere)
    )
    code = f"""
import importlib, pkgutil, sparkml_dist
for module in pkgutil.walk_packages(sparkml_dist.__path__, "sparkml_dist."):
    if not module.name.startswith({rooms}):
        importlib.import_module(module.name)
"""
    assert not imported_by(code) & {"tensorflow", "keras", "horovod"}


def imported_by(code: str) -> set[str]:
    """Top-level names of all modules that `code` brings in, in a fresh interpreter."""
    code += "\nimport sys; print('MODULES', *{name.split('.')[0] for name in sys.modules})"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.rpartition("MODULES")[2].split())


def test_versions_agree(pyproject):
    import sparkml_dist

    version = pyproject["project"]["version"]
    assert sparkml_dist.__version__ == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "benchmarks/README.md", "data/README.md"]
)
def test_documents_name_what_exists(name, make_targets):
    text = (ROOT / name).read_text()
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    assert set(re.findall(r"\bmake ([a-z]+)", code)) <= make_targets
    paths = re.findall(r"\b(?:jobs|scripts|tests|benchmarks|data)/[\w./-]*\w\.\w+", code)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_make_help_lists_the_targets(make_targets):
    helped = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    wanted = {"setup", "demo", "test", "lint", "format", "bench", "lock", "clean", "help"}
    wanted |= {"check", "docs", "coverage", "test-long"}
    assert wanted <= make_targets
    assert all(f"make {target} " in helped for target in wanted)


def test_the_hooks_before_a_commit_are_the_checks_of_lint():
    import yaml

    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    commands = recipe[1].replace("$(BIN)", ".venv/bin").replace(" $(SOURCES)", "").split("\n")
    assert {command.strip() for command in commands if command.strip()} <= set(hooks)
    assert all(repo["repo"] == "local" for repo in config["repos"])  # nothing is downloaded


def test_scripts_can_be_started_and_parsed():
    scripts = [*(ROOT / "scripts").glob("*.sh"), ROOT / ".ci" / "run"]
    for script in scripts:
        subprocess.run(["bash", "-n", script], check=True)
        assert script.name == "env.sh" or os.access(script, os.X_OK), f"{script} is not executable"
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_setup_names_the_missing_package_in_one_line(tmp_path):
    tools = ("bash", "cat", "cut", "dirname", "sed", "tail", "env", "java")
    for tool in tools:
        tmp_path.joinpath(tool).symlink_to(shutil.which(tool))
    tmp_path.joinpath("python3").symlink_to(sys.executable)
    for name, body in {"id": "echo 1000", "apt-get": "exit 9", "apt-cache": "exit 9"}.items():
        tmp_path.joinpath(name).write_text(f"#!{shutil.which('bash')}\n{body}\n")
        tmp_path.joinpath(name).chmod(0o755)
    run = subprocess.run(
        [shutil.which("bash"), ROOT / "scripts" / "setup.sh"],
        env={"PATH": str(tmp_path), "JAVA_HOME": os.environ.get("JAVA_HOME", "")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stdout + run.stderr == (
        "setup: missing: a C++ compiler; install with: apt-get install g++\n"
    )


def test_spark_defaults_leave_the_master_open():
    lines = (ROOT / "spark-defaults.conf").read_text().splitlines()
    settings = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    assert all(len(setting) == 2 and setting[0].startswith("spark.") for setting in settings)
    keys = [key for key, _ in settings]
    assert len(keys) == len(set(keys))
    assert "spark.master" not in keys
    assert "spark.executor.pyspark.memory" not in keys


def test_sample_data_is_what_its_script_writes():
    spec = importlib.util.spec_from_file_location(
        "sample", ROOT / "scripts" / "make_sample_data.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "data" / "machines.csv").read_text().splitlines() == module.lines()
