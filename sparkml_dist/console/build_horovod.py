"""``sparkml-dist build-horovod``: builds Horovod for the TensorFlow that is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sparkml_dist.console.printing import CommandParser, note
from sparkml_dist.errors import ConfigurationError, ResourceError

__all__ = ["build_environment", "build_requirements", "build_settings", "run"]

_SETTINGS = Path(__file__).parent / "horovod"
# The TensorFlow that the settings are made for.
_TRIED = "2.21"
_SHOWN_LINES = 15
_LOOK = (
    "import horovod.tensorflow as h; "
    "print('NCCL' if h.nccl_built() else '', 'Gloo' if h.gloo_built() else '')"
)


def _options() -> CommandParser:
    parser = CommandParser(
        "build-horovod",
        "Build Horovod for the TensorFlow that is installed here, put the wheel into a folder\n"
        "and install it. Machines with the same Python and TensorFlow can use the wheel.",
        "It takes some minutes, a C++ compiler and a package index that pip can reach.\n\n"
        "examples:\n"
        "  pip install 'sparkml_dist[deep]' && sparkml-dist build-horovod\n"
        "  sparkml-dist build-horovod --wheelhouse /shared/wheels --no-install\n"
        "  pip install --find-links /shared/wheels 'sparkml_dist[deep,horovod]'\n",
    )
    parser.add_argument(
        "--wheelhouse",
        type=Path,
        default=Path("wheelhouse"),
        metavar="DIR",
        help="folder for the wheel (default: wheelhouse)",
    )
    parser.add_argument(
        "--gpu", action="store_true", help="with CUDA and NCCL, for tensorflow[and-cuda]"
    )
    parser.add_argument("--no-install", action="store_true", help="only build the wheel")
    return parser


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Raises
    ------
    ConfigurationError
        ``distribution_not_found`` without TensorFlow or pip, ``compiler_not_found``.
    ResourceError
        ``build_failed``.
    """
    try:
        args = _options().parse_args(argv)
    except SystemExit as ended:  # --help
        return int(ended.code or 0)
    settings = build_settings(gpu=args.gpu)
    tensorflow = _tensorflow(gpu=args.gpu)
    _check_tools()
    args.wheelhouse.mkdir(parents=True, exist_ok=True)
    version = settings["dependency-metadata"][0]["version"]
    note(f"build-horovod: Horovod {version} for TensorFlow {tensorflow}; some minutes")
    with tempfile.TemporaryDirectory(prefix="build-horovod-") as folder:
        log = Path(folder, "log")
        tools = Path(folder, "tools")
        constraints = Path(folder, "constraints.txt")
        constraints.write_text("\n".join(settings["build-constraint-dependencies"]))
        required = build_requirements(settings)
        _pip(log, "install", "--target", tools, "--constraint", constraints, *required)
        wheels = Path(folder, "wheels")
        _pip(
            log,
            # A wheel that was built without these settings may be in pip's cache.
            *("wheel", "--no-cache-dir", "--no-build-isolation", "--no-deps"),
            *("--no-binary", "horovod", "--wheel-dir", wheels, f"horovod=={version}"),
            environment=build_environment(settings, tools, os.environ),
        )
        (built,) = wheels.glob("horovod-*.whl")
        wheel = Path(shutil.copy2(built, args.wheelhouse))
        if not args.no_install:
            _pip(log, "install", "--force-reinstall", "--no-deps", wheel)
            _pip(log, "install", wheel)
    if not args.no_install:
        note(f"build-horovod: installed, with {_look()}")
    sys.stdout.write(f"{wheel}\n")
    return 0


def build_settings(*, gpu: bool) -> dict[str, Any]:
    """Return the settings of the build, those that ``make setup`` gives to uv."""
    with (_SETTINGS / ("gpu.toml" if gpu else "cpu.toml")).open("rb") as file:
        return tomllib.load(file)


def build_requirements(settings: Mapping[str, Any]) -> list[str]:
    """Return what must be installed for the build beside the packages that are here.

    Left out are TensorFlow and NCCL, which must be those that are installed, and the shim for GPUs,
    which lies beside the settings.
    """
    listed = settings["extra-build-dependencies"]["horovod"]
    return [entry for entry in listed if isinstance(entry, str) and " @ " not in entry]


def build_environment(
    settings: Mapping[str, Any], tools: Path, before: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of the build.

    Parameters
    ----------
    settings : mapping
        Of `build_settings`.
    tools : Path
        Folder where `build_requirements` are installed; gets the command of the shim for GPUs.
    before : mapping of str to str
        The environment of this process.
    """
    found = {**before, **settings["extra-build-variables"]["horovod"]}
    paths = [str(tools)]
    if command := found.get("HOROVOD_CMAKE"):
        paths.append(str(_SETTINGS / "gpu_shim"))
        script = tools / "bin" / command
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(f"#!{sys.executable}\nfrom horovod_gpu_shim import main\n\nmain()\n")
        script.chmod(0o755)
    found["PYTHONPATH"] = os.pathsep.join([*paths, *filter(None, [before.get("PYTHONPATH")])])
    found["PATH"] = os.pathsep.join([str(tools / "bin"), before.get("PATH", os.defpath)])
    found.setdefault("MAKEFLAGS", f"-j{len(os.sched_getaffinity(0))}")
    return found


def _tensorflow(*, gpu: bool) -> str:
    """Return the version of TensorFlow."""
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if not version.startswith(f"{_TRIED}."):
            note(f"build-horovod: tried with TensorFlow {_TRIED}; here is {version}.")
        if gpu and find_spec("nvidia") is None:
            raise ConfigurationError(
                "distribution_not_found",
                "TensorFlow is here without CUDA and NCCL.",
                f"pip install 'tensorflow[and-cuda]=={version}' first.",
            )
        return version
    raise ConfigurationError(
        "distribution_not_found",
        "TensorFlow is not installed, which Horovod is built for.",
        "pip install 'sparkml_dist[deep]' first.",
    )


def _check_tools() -> None:
    if find_spec("pip") is None:
        raise ConfigurationError(
            "distribution_not_found",
            f"{sys.executable} has no pip.",
            f"{sys.executable} -m ensurepip",
        )
    compilers = filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++"))
    if not any(shutil.which(compiler) for compiler in compilers):
        raise ConfigurationError(
            "compiler_not_found",
            "There is no C++ compiler.",
            "Install one (Debian: apt-get install g++), or build on a machine that has one and "
            "pip install the wheel here.",
        )


def _pip(log: Path, *arguments: object, environment: Mapping[str, str] | None = None) -> None:
    """Run pip; raise with the end of what it said where it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    with log.open("w") as stream:
        run = subprocess.run(
            command, stdout=stream, stderr=subprocess.STDOUT, env=environment, check=False
        )
    if run.returncode == 0:
        return
    lines = log.read_text(errors="replace").splitlines()
    for line in lines[-_SHOWN_LINES:]:
        note(f"  {line}")
    kept = Path(tempfile.gettempdir(), f"build-horovod-{os.getpid()}.log")
    shutil.copy(log, kept)
    wrong = next((line for line in lines if re.search(r"\berror: ", line)), lines[-1:] or "?")
    raise ResourceError(
        "build_failed",
        f"pip {arguments[0]} ended with {run.returncode}: {str(wrong).strip()[:200]}",
        f"See {kept}.",
    )


def _look() -> str:
    """Return what the installed Horovod was built with."""
    run = subprocess.run(
        [sys.executable, "-c", _LOOK],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if run.returncode != 0:
        last = (run.stderr.strip().splitlines() or ["?"])[-1]
        raise ResourceError(
            "build_failed",
            f"The Horovod that was built cannot be imported: {last[:200]}",
            "Build it with the TensorFlow that it shall run with.",
        )
    return " and ".join(run.stdout.split())
