"""The function that looks at one Python worker; it needs nothing but Python and pyarrow there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["worker_look"]


def worker_look(
    packages: Sequence[str], folders: Sequence[str], token: str, *, pause: float = 0.0
) -> tuple[Callable[[], dict[str, Any]], Callable[[Iterator[pa.RecordBatch]], Any]]:
    """Return a function that looks at its process, and the same for ``mapInArrow``.

    Both are nested, with imports of their own, and so are pickled by value: they run on workers
    that lack this library, and report so.

    Parameters
    ----------
    packages : sequence of str
        Distributions whose versions are reported.
    folders : sequence of str
        Locations where the driver has written a file named `token`; each worker reads it and writes
        one beside it.
    token : str
        Name of that file.
    pause : float
        Seconds to stay on a slot, so that tasks which need not start together go to all slots.
    """

    def look() -> dict[str, Any]:
        import glob
        import importlib.util
        import os
        import platform
        import sys
        import time
        import uuid
        from importlib import metadata

        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
            try:
                with open(limit) as file:
                    memory = min(memory, int(file.read()))
            except (OSError, ValueError):
                continue
        versions = {}
        for name in packages:
            try:
                versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                versions[name] = ""
        horovod = importlib.util.find_spec("horovod")
        places = list(horovod.submodule_search_locations or []) if horovod else []
        seen = {}
        for location in folders:
            try:
                from sparkml_dist.persistence.filesystem import Folder

                folder = Folder.at(location)
                folder.read_bytes(token)
                folder.write_bytes(f"{token}-{uuid.uuid4().hex}", b"seen")
                seen[location] = ""
            except Exception as error:  # noqa: BLE001 - the driver shows it
                seen[location] = str(error)[:300] or type(error).__name__
        return {
            "host": platform.node(),
            "executable": sys.executable,
            "python": platform.python_version(),
            "versions": versions,
            "horovod": any(glob.glob(f"{p}/tensorflow/mpi_lib*.so") for p in places),
            "memory": memory,
            "cores": len(os.sched_getaffinity(0)),
            "folders": seen,
            "time": time.time(),
        }

    def look_in_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import json
        import time

        import pyarrow

        for _ in batches:
            pass
        report = look()
        time.sleep(pause)
        yield pyarrow.RecordBatch.from_pydict({"report": [json.dumps(report)]})

    return look, look_in_task
