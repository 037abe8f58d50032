"""Keeps packages that Keras only looks for out of its import."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence

__all__ = ["OPTIONAL", "light_imports"]

#: Packages that TensorFlow and Keras import only if they are there.
OPTIONAL = ("matplotlib", "sklearn", "pandas", "scipy")


@contextlib.contextmanager
def light_imports(hidden: Sequence[str] = OPTIONAL) -> Iterator[None]:
    """Make packages that are not loaded yet look as if they were not installed.

    ``import tensorflow`` took 10 s on a slow machine, 4 s of it for plotting, scikit-learn
    wrappers and pandas inputs. After the block everybody can import them as usual; Keras itself
    goes on without.

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
