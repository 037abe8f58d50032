"""Makes the import of Keras fast and quiet."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence

__all__ = ["OPTIONAL", "light_imports", "quiet_stderr"]

#: Packages that TensorFlow and Keras import only if they are installed.
OPTIONAL = ("matplotlib", "sklearn", "pandas", "scipy")


@contextlib.contextmanager
def light_imports(hidden: Sequence[str] = OPTIONAL) -> Iterator[None]:
    """Hide packages that are not loaded yet, as if they were not installed.

    ``import tensorflow`` took 10 s on a slow machine, 4 s of it for plotting, scikit-learn
    wrappers and pandas inputs. After the block the packages can be imported as usual; Keras works
    without them.

    Parameters
    ----------
    hidden : sequence of str
        Top-level packages.
    """
    absent = [name for name in hidden if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in absent:
            if sys.modules.get(name, sys) is None:
                del sys.modules[name]


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Capture what native code writes to standard error; print it only if the block fails.

    No setting disables TensorFlow's start-up messages; a job's standard error is for its user.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
