"""Checks a ``.keras`` file before Keras creates a network from it.

Keras resolves names in a file's configuration to anything that it exports, even in its safe mode:
layers that read files, run other frameworks or Python code, functions that download. Here the
configuration may only name layers, operations, initializers and the like; other classes must have
been registered with Keras by this process. The weights must be plain arrays in the file, with the
sizes that they declare.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Callable
from typing import Any

from sparkml_dist.persistence.declared_sizes import check_archive

__all__ = ["check_network_archive", "check_network_config"]

WEIGHTS = "model.weights.h5"
# Assets are vocabularies of layers that were adapted to data.
_MEMBER = re.compile(
    rf"config\.json|metadata\.json|{re.escape(WEIGHTS)}|assets(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+"
)
_DEEPEST = 150
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DTYPE = re.compile(r"(bfloat|float|u?int|complex)(4|8|16|32|64|128)|bool")

# Modules of Keras whose classes and functions are parts of networks.
_ROOMS = (
    "activations",
    "constraints",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "quantizers",
    "random",
    "regularizers",
)
_MODULE = re.compile(rf"keras(\.src)?\.({'|'.join(_ROOMS)})(\.[a-z_0-9]+)*")
_TOP = frozenset(
    {
        "DTypePolicy",
        "FloatDTypePolicy",
        "Function",
        "Functional",
        "InputSpec",
        "Layer",
        "Model",
        "Operation",
        "Sequential",
    }
)
_FUNCTION_MODULE = re.compile(r"builtins|keras\.(activations|losses|metrics|ops)(\.[a-z_0-9]+)*")
# These run code or other frameworks, or load files that their settings name.
_REFUSED = frozenset(
    {
        "FlaxLayer",
        "JaxLayer",
        "Lambda",
        "TFSMLayer",
        "TorchModuleWrapper",
        "__lambda__",
        "__typespec__",
    }
)
# Settings that hold values, or the name of a file of values.
_VALUES_OR_FILE = ("vocabulary", "idf_weights")


def check_network_archive(
    content: bytes, registered: Callable[[str], bool]
) -> tuple[dict[str, Any], int]:
    """Return a network's configuration and the bytes of its weights; raise unless both are safe.

    Parameters
    ----------
    content : bytes
        A ``.keras`` file.
    registered : callable
        Tells whether a name is registered with Keras in this process; called for names that are not
        Keras' own.

    Returns
    -------
    config : dict
    stored : int

    Raises
    ------
    ValueError, KeyError, TypeError, OSError, zipfile.BadZipFile
        The file is not safe.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in check_archive(archive, len(content)):
            if not _MEMBER.fullmatch(member.filename):
                raise ValueError(f"it must not contain {member.filename!r}")
        config = json.loads(archive.read("config.json"))
        check_network_config(config, registered)
        return config, _weights_bytes(archive.read(WEIGHTS))


def check_network_config(config: Any, registered: Callable[[str], bool]) -> None:
    """Raise unless a network's configuration names only parts of networks.

    Parameters
    ----------
    config : JSON values
    registered : callable
        As for `check_network_archive`.

    Raises
    ------
    ValueError, KeyError, TypeError
        The configuration is not safe.
    """
    if not isinstance(config, dict):
        raise ValueError("its configuration is not a mapping")
    _check(config, registered, 0)


def _check(value: Any, registered: Callable[[str], bool], level: int) -> None:
    """Check a part of the configuration and all below it."""
    if level > _DEEPEST:
        raise ValueError(f"its configuration is nested more than {_DEEPEST} levels deep")
    if isinstance(value, list):
        for item in value:
            _check(item, registered, level + 1)
    elif isinstance(value, dict):
        if "class_name" in value:
            _check_object(value, registered)
        for name in _VALUES_OR_FILE:
            if isinstance(value.get(name), str):
                raise ValueError(f"{name} is the name of a file")
        for item in value.values():
            _check(item, registered, level + 1)


def _check_object(value: dict[str, Any], registered: Callable[[str], bool]) -> None:
    """Check that an object of the configuration may be a part of a network."""
    kind, module = value["class_name"], value.get("module")
    if kind == "function":
        kind, module = value.get("config"), module or "builtins"
        allowed = bool(_FUNCTION_MODULE.fullmatch(str(module)))
    elif kind in ("__numpy__", "__tensor__"):
        if not _DTYPE.fullmatch(str(value["config"]["dtype"])):
            raise ValueError(f"it holds an array of {value['config']['dtype']!r}")
        return
    elif module is None:
        # Keras looks it up among the classes of the module that contains it, or registered ones.
        allowed = True
    elif module == "keras":
        allowed = kind in _TOP
    else:
        allowed = bool(_MODULE.fullmatch(str(module)))
    name = value.get("registered_name")
    # Registered names first: Keras tries these before it looks at the module.
    names = [n for n in (name, kind) if isinstance(n, str) and ">" in n]
    if any(registered(n) for n in names) or (
        module is not None and not allowed and isinstance(name, str) and registered(name)
    ):
        return
    if kind in _REFUSED or names or not allowed or not _NAME.fullmatch(str(kind)):
        raise ValueError(f"it must not use {f'{module}.' if module else ''}{name or kind}")


def _weights_bytes(content: bytes) -> int:
    """Return the bytes of an HDF5 file's arrays; raise unless all are plain and in the file."""
    import h5py

    with h5py.File(io.BytesIO(content), "r") as file:
        stored = _group_bytes(file, 0)
    if stored > len(content):
        raise ValueError(f"its weights declare {stored:,} bytes and have {len(content):,}")
    return stored


def _group_bytes(group: Any, level: int) -> int:
    import h5py

    if level > _DEEPEST:
        raise ValueError(f"its weights are nested more than {_DEEPEST} levels deep")
    total = 0
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"its weights link elsewhere at {group.name}/{name}")
        item = group[name]
        if isinstance(item, h5py.Group):
            total += _group_bytes(item, level + 1)
            continue
        if not isinstance(item, h5py.Dataset) or item.dtype.hasobject:
            raise ValueError(f"{item.name} is not an array of weights")
        if item.is_virtual or item.external or item.chunks or item.compression:
            raise ValueError(f"{item.name} is not stored contiguously in the file")
        declared = math.prod(item.shape or ()) * item.dtype.itemsize
        if item.shape is None or item.id.get_storage_size() != declared:
            raise ValueError(f"{item.name} declares {declared:,} bytes, but stores another number")
        total += declared
    return total
