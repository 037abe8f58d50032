"""Writes an archive of packages that executors unpack anywhere and use with a Python of theirs.

The archive holds ``lib/pythonX.Y/site-packages`` and ``bin/python``, a launcher of a few lines
that finds the Python of the machine and gives it the packages. Nothing in it knows where it lies:
it needs no repair after unpacking, and no virtual environment.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path, PurePosixPath

import sparkml_dist
from sparkml_dist.console.distributions import files_of, is_editable

__all__ = ["launcher", "write_archive"]

_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
_SITE = PurePosixPath(f"lib/python{_VERSION}/site-packages")
# Level of gzip: higher ones take twice as long for some percent.
_LEVEL = 4

# Spark brings its own classes, and Arrow's headers are for compilers.
_NEVER = (
    *(f"pyspark/{name}/" for name in ("jars", "examples", "data", "licenses", "bin", "sbin")),
    *("pyspark/python/lib/", "pyarrow/include/", "pyarrow/src/", "tensorflow/include/"),
)
# Tests of large packages, which nothing imports.
_TESTED = ("numpy", "pandas", "pyarrow", "pyspark", "scipy", "sklearn", "matplotlib", "skops")

_LAUNCHER = """\
#!/bin/sh
# Starts Python {version} with the packages of this folder, wherever that lies.
here=$(cd "$(dirname "$0")/.." && pwd -P) || exit 1
for name in {places}; do
  found=$(command -v "$name" 2>/dev/null) || continue
  case $found in "$here"/*) continue ;; esac
  "$found" -c 'import sys; sys.exit(sys.version_info[:2] != ({tuple}))' 2>/dev/null || continue
  # Spark's own modules stand first on the path.
  export PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}$here/{site}" PYTHONNOUSERSITE=1
  exec "$found" "$@"
done
echo "$0: this machine has no Python {version}: install it, or pack with --python PATH." >&2
exit 127
"""


def launcher(python: str | None = None) -> str:
    """Return the text of the archive's ``bin/python``.

    Parameters
    ----------
    python : str, optional
        Interpreter on the workers, where it is not the first ``pythonX.Y`` there.
    """
    usual = [f"python{_VERSION}", f"/usr/local/bin/python{_VERSION}", f"/usr/bin/python{_VERSION}"]
    places = [python] if python else [os.path.realpath(sys.executable), *usual, "python3"]
    quoted = " ".join("'" + place.replace("'", "'\\''") + "'" for place in places)
    return _LAUNCHER.format(
        version=_VERSION, places=quoted, tuple=_VERSION.replace(".", ", "), site=_SITE
    )


def write_archive(
    output: Path, packed: list[Distribution], *, python: str | None = None
) -> tuple[int, int]:
    """Write distributions and the launcher to a ``.tar.gz``; return numbers of files and bytes.

    The file appears under its name when it is complete.

    Parameters
    ----------
    output : Path
    packed : list of Distribution
        The library's own may be editable: then its source is packed.
    python : str, optional
        See `launcher`.
    """
    files = size = 0
    unfinished = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with tarfile.open(unfinished, "w:gz", compresslevel=_LEVEL) as archive:
            _add_text(archive, "bin/python", launcher(python))
            for link in ("python3", f"python{_VERSION}"):
                info = tarfile.TarInfo(f"bin/{link}")
                info.type, info.linkname = tarfile.SYMTYPE, "python"
                archive.addfile(info)
            seen: set[PurePosixPath] = set()
            for path, name in _files(packed):
                if name in seen:
                    continue
                seen.add(name)
                archive.add(path.resolve(), str(_SITE / name), recursive=False, filter=_anonymous)
                files, size = files + 1, size + path.stat().st_size
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
    return files, size


def _files(packed: list[Distribution]) -> Iterator[tuple[Path, PurePosixPath]]:
    """Yield the files to pack, and their names in site-packages."""
    for distribution in packed:
        for path, name in files_of(distribution):
            if not _left_out(name):
                yield path, name
        if is_editable(distribution):
            yield from _own_source()


def _own_source() -> Iterator[tuple[Path, PurePosixPath]]:
    """Yield the files of this package, and of the jobs beside it, as a wheel has them."""
    package = Path(sparkml_dist.__file__).parent
    for folder, inside in ((package, ""), (package.parent / "jobs", "jobs")):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                relative = path.relative_to(folder).as_posix()
                yield path, PurePosixPath(package.name, inside, relative)


def _left_out(name: PurePosixPath) -> bool:
    text = str(name)
    if text.startswith(_NEVER) or name.suffix == ".pth":
        return True
    return name.parts[0] in _TESTED and "tests" in name.parts[1:-1]


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o755
    archive.addfile(info, io.BytesIO(content))
