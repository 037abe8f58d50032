"""Pickles functions for processes with another import path."""

from __future__ import annotations

import contextlib
import functools
import sys
import sysconfig
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

__all__ = ["shipped"]


def shipped(value: Any, *functions: Callable[..., Any]) -> bytes:
    """Return a cloudpickle of `value` that includes functions of the user's own files by value.

    Installed modules (and this library) are pickled by name, as usual. Other modules of
    `functions`, such as a script's neighbours or a file given on a command line, are pickled by
    value as far as the functions need them, since a worker cannot import them.

    Parameters
    ----------
    value : Any
    *functions : callable
        Functions whose modules are checked.

    Returns
    -------
    bytes
    """
    from pyspark import cloudpickle

    with contextlib.ExitStack() as stack:
        for module in {_module(f) for f in functions}:
            if module is not None and not _installed(module):
                stack.enter_context(_by_value(module))
        found: bytes = cloudpickle.dumps(value)
        return found


def _module(function: Any) -> ModuleType | None:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__module__", None) or type(function).__module__
    return sys.modules.get(name)


def _installed(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    if file is None or module.__name__.split(".")[0] in ("__main__", "sparkml_dist"):
        return True
    paths = sysconfig.get_paths()
    return any(file.startswith(paths[k]) for k in ("purelib", "platlib", "stdlib", "platstdlib"))


@contextlib.contextmanager
def _by_value(module: ModuleType) -> Iterator[None]:
    from pyspark.cloudpickle import cloudpickle

    if module.__name__ in cloudpickle.list_registry_pickle_by_value():
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)
