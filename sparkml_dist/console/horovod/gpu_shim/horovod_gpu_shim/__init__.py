"""Runs cmake for Horovod's build with the CUDA compiler and the NCCL that are installed as wheels.

With ``HOROVOD_CUDA_HOME`` set, that toolkit is used in place of the wheels'.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

__all__ = ["environment", "main"]


def main() -> None:
    """Take the place of cmake."""
    os.execvpe("cmake", ["cmake", *sys.argv[1:]], environment())


def environment() -> dict[str, str]:
    """Return the environment with all paths that Horovod's build needs."""
    found = dict(os.environ)

    def prepend(name: str, *paths: Path) -> None:
        before = [found[name]] if found.get(name) else []
        found[name] = os.pathsep.join([*map(str, paths), *before])

    here, nccl = Path(__file__).parent, _wheel("nvidia.nccl")
    # Headers and library names that are missing elsewhere lie in include/ and lib/.
    found["HOROVOD_NCCL_INCLUDE"], found["HOROVOD_NCCL_LIB"] = str(nccl / "include"), f"{here}/lib"
    prepend("CPATH", here / "include")
    prepend("LIBRARY_PATH", nccl / "lib")
    if "HOROVOD_CUDA_HOME" not in found:
        cuda = _wheel("nvidia.cu13")
        found["HOROVOD_CUDA_HOME"] = str(cuda)
        prepend("PATH", cuda / "bin")
        prepend("LIBRARY_PATH", cuda / "lib")
        prepend("CMAKE_LIBRARY_PATH", here / "lib", cuda / "lib")
    return found


def _wheel(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"horovod-gpu-cmake: the package {name} is not installed for the build.")
    return Path(next(iter(spec.submodule_search_locations)))
