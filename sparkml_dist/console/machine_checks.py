"""Looks at this machine: Java, Spark, Python, packages, Horovod's build, memory, name, folders."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata

from sparkml_dist.console.findings import Finding, bad, good, plain
from sparkml_dist.console.submit import find_java, find_spark_submit
from sparkml_dist.errors import SparkMLDistError

__all__ = ["look_at_machine"]

_JAVA = 17
_PYTHONS = ((3, 11), (3, 13))
# What each extra is for.
_EXTRAS = {
    "deep": "networks",
    "boost": "boosters",
    "search": "samplers of searches",
    "onnx": "ONNX",
}
_HOROVOD = (
    "import horovod.tensorflow as h; "
    "print('NCCL' if h.nccl_built() else '', 'Gloo' if h.gloo_built() else '')"
)
_MIN_MEMORY = 2 << 30


def look_at_machine(folders: Sequence[str] = ()) -> list[Finding]:
    """Return the findings about the machine that this process runs on.

    Parameters
    ----------
    folders : sequence of str
        Paths or URIs that must be readable and writable.
    """
    found = [
        _python(),
        _java(),
        _spark(),
        *_packages(),
        _horovod(),
        _memory(),
        _own_name(),
        _disk(),
    ]
    return [*found, *(_folder(folder) for folder in folders)]


def _python() -> Finding:
    here = sys.version_info[:2]
    text = f"{sys.version.split()[0]} in {sys.prefix}"
    if _PYTHONS[0] <= here <= _PYTHONS[1]:
        return good("Python", text)
    return bad("Python", text, "Use Python 3.11, 3.12 or 3.13, here and on the workers.")


def _java() -> Finding:
    try:
        java = find_java()
        said = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=60, check=False
        )
    except SparkMLDistError as error:
        return bad("Java", error.message, error.hint)
    except (OSError, subprocess.TimeoutExpired) as error:
        return bad("Java", f"{java} does not run: {error}", "Install Java 17 or newer.")
    version = re.search(r'version "(\d+)(?:\.(\d+))?', said.stderr)
    major = int(version.group(1)) if version else 0
    text = f"{major or 'unknown version'} ({java})"
    if major >= _JAVA:
        return good("Java", text)
    return bad("Java", text, "Install Java 17 or newer, and set JAVA_HOME to it.")


def _spark() -> Finding:
    try:
        return good("spark-submit", str(find_spark_submit()))
    except SparkMLDistError as error:
        return bad("spark-submit", error.message, error.hint)


def _packages() -> list[Finding]:
    """Return findings about the packages that the library needs, and about its extras."""
    from packaging.requirements import Requirement

    try:
        required = [Requirement(text) for text in metadata.requires("sparkml_dist") or ()]
        version = metadata.version("sparkml_dist")
    except metadata.PackageNotFoundError:
        return [bad("packages", "sparkml_dist is not installed", "pip install sparkml_dist")]
    core = [r for r in required if r.marker is None or r.marker.evaluate({"extra": ""})]
    unfit = [text for r in core if (text := _unfit(r.name, r.specifier))]
    if unfit:
        found = [bad("packages", "; ".join(unfit), "pip install --upgrade sparkml_dist")]
    else:
        found = [good("packages", f"sparkml_dist {version} and the {len(core)} that it needs")]
    for extra, purpose in _EXTRAS.items():
        own = [r for r in required if r not in core and _of_extra(r, extra)]
        missing = [text for r in own if (text := _unfit(r.name, r.specifier))]
        name = f"extra {extra}"
        if not missing:
            found.append(good(name, f"{purpose}: {', '.join(r.name for r in own)}"))
        else:
            remedy = f"pip install 'sparkml_dist[{extra}]'"
            found.append(plain(name, f"{purpose}: {'; '.join(missing)}", remedy))
    return found


def _of_extra(requirement: object, extra: str) -> bool:
    marker = getattr(requirement, "marker", None)
    return marker is not None and bool(marker.evaluate({"extra": extra}))


def _unfit(name: str, specifier: object) -> str:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is not installed"
    fits: bool = specifier.contains(version, prereleases=True)  # type: ignore[attr-defined]
    return "" if fits else f"{name} {version} is not {specifier}"


def _horovod() -> Finding:
    """Return whether Horovod was built for the TensorFlow that is here; takes seconds if it is."""
    versions = {}
    for name in ("tensorflow", "tensorflow-cpu", "horovod"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    build = "sparkml-dist build-horovod (add --gpu for CUDA and NCCL)"
    if not versions.keys() - {"horovod"}:
        return plain("Horovod", "not needed without TensorFlow")
    if "horovod" not in versions:
        return bad("Horovod", "not installed: networks cannot be trained", build)
    run = subprocess.run(
        [sys.executable, "-c", _HOROVOD],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    tensorflow = next(v for k, v in versions.items() if k != "horovod")
    text = f"{versions['horovod']} for TensorFlow {tensorflow}"
    if run.returncode == 0:
        return good("Horovod", f"{text}, with {' and '.join(run.stdout.split())}")
    last = (run.stderr.strip().splitlines() or ["?"])[-1]
    return bad("Horovod", f"{text} cannot be imported: {last[:200]}", build)


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(limit) as file:
                total = min(total, int(file.read()))
        except (OSError, ValueError):
            continue
    text = f"{total / 2**30:.1f} GiB for {len(os.sched_getaffinity(0))} cores"
    if total >= _MIN_MEMORY:
        return good("memory", text)
    return plain("memory", text, "Lower spark.driver.memory; local mode needs about 2 GiB.")


def _own_name() -> Finding:
    name = socket.gethostname()
    try:
        return good("host name", f"{name} is {socket.gethostbyname(name)}")
    except OSError:
        if os.environ.get("SPARK_LOCAL_IP"):
            return good("host name", f"{name}; SPARK_LOCAL_IP={os.environ['SPARK_LOCAL_IP']}")
        return bad(
            "host name",
            f"{name} has no address: Spark will not start",
            "Set SPARK_LOCAL_IP (127.0.0.1 on one machine), or add the name to /etc/hosts.",
        )


def _disk() -> Finding:
    folder = os.environ.get("SPARK_LOCAL_DIRS", tempfile.gettempdir()).split(",")[0]
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return bad("local disk", f"{folder}: {error}", "Set SPARK_LOCAL_DIRS to a folder.")
    text = f"{free / 2**30:.1f} GiB free in {folder}, where shuffles are written"
    if free >= 1 << 30:
        return good("local disk", text)
    return bad("local disk", text, "Free some, or set SPARK_LOCAL_DIRS to another disk.")


def _folder(location: str) -> Finding:
    import uuid

    from sparkml_dist.persistence.filesystem import Folder

    name = f"folder {location}"
    token = f".doctor-{uuid.uuid4().hex}"
    try:
        folder = Folder.at(location)
        existed = folder.exists()
        folder.write_bytes(token, b"seen")
        folder.read_bytes(token)
        folder.delete_file(token)
        if not existed:
            folder.delete()
    except (SparkMLDistError, OSError) as error:
        return bad(name, str(error), "Check the address and its permissions.")
    return good(name, "readable and writable")
