"""Checks a learner's file before skops creates objects from it.

skops checks that every type in a file is trusted, but not how it is used: a file may only mention a
type, set the state of an object of that type, or *call* it with arguments from the file, while
loading. Nor does skops check sizes. Files of `dump_learner` have a plain form, which this module
enforces:

- members are stored uncompressed, and arrays have the sizes that they declare;
- containers are built from container types, arrays from numpy's, generator states from numpy's;
- a type that is called with arguments while loading is a class without another form;
- keys of mappings are plain values;
- a repeated identity describes the same thing each time, so that nothing expands on loading.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

from sparkml_dist.persistence.declared_sizes import check_archive, check_npy, check_npz

__all__ = ["check_learner_archive"]

# The first protocol of skops that this package wrote. Older readers are less strict.
_OLDEST_PROTOCOL = 2
# Nesting levels of a file; a pipeline in a pipeline adds five.
_DEEPEST = 150

# Bytes of an array's file that include its header.
_HEAD = 10_100

_KEYS = {f"builtins.{name}" for name in ("str", "int", "float", "bool")}
# Loaders that call the type of their node: allowed names without an import, and base classes.
_CALLED: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "DictNode": (frozenset({"builtins.dict", "collections.OrderedDict"}), ("builtins.dict",)),
    "ListNode": (frozenset({"builtins.list"}), ("builtins.list",)),
    "SetNode": (frozenset({"builtins.set"}), ("builtins.set", "builtins.frozenset")),
    "TupleNode": (frozenset({"builtins.tuple"}), ("builtins.tuple",)),
    "NdArrayNode": (frozenset({"numpy.ndarray"}), ("numpy.generic",)),
    "RandomStateNode": (
        frozenset({"numpy.random.mtrand.RandomState"}),
        ("numpy.random.mtrand.RandomState",),
    ),
    "RandomGeneratorNode": (
        frozenset({"numpy.random._generator.Generator"}),
        ("numpy.random._generator.Generator",),
    ),
}
# Types with their own form: never created by a call with arguments from the file.
_OWN_FORM = ("sklearn.tree._tree.", "sklearn.neighbors.", "scipy.sparse.", "functools.", "numpy.")
_METRICS = "sklearn.metrics._dist_metrics"
# Compiled objects whose state is a tuple, and its items: "a" array, "m" metric, "?" array or None,
# "." values that Python checks.
_STATES = {
    f"{_METRICS}.": ".aa",
    "sklearn.neighbors._kd_tree.": "aaaa.......m?",
    "sklearn.neighbors._ball_tree.": "aaaa.......m?",
}
# Functions of this package that create objects from plain values, which they check.
_FUNCTIONS = frozenset(
    {
        "sparkml_dist.persistence.boosters.stored.booster",
        "sparkml_dist.persistence.distributions.frozen",
    }
)
# Types with their own form whose state is never set.
_NOT_FILLED = ("sklearn.tree._tree.", "functools.", "numpy.")
_LOSSES = ("sklearn._loss._loss.", "sklearn.linear_model._sgd_fast.")
# numpy.void takes its size from the file, and numpy.object_ any object.
_NO_NUMBERS = frozenset({"numpy.void", "numpy.object_"})
_SPARSE_PARTS = (
    "data",
    "indices",
    "indptr",
    "row",
    "col",
    "offsets",
    "shape",
    "format",
    "_is_array",
)


def check_learner_archive(content: bytes, trusted: Collection[str]) -> set[str]:
    """Raise unless a file has the form that `dump_learner` writes.

    Parameters
    ----------
    content : bytes
        The file.
    trusted : collection of str
        Dotted names that the file may hold besides those that skops trusts. Only these are
        imported, to check their base classes.

    Returns
    -------
    set of str
        Dotted names of the types in the file.

    Raises
    ------
    ValueError, KeyError, TypeError, zipfile.BadZipFile
        The file has another form.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = check_archive(archive, len(content))
    parts: dict[str, Any] = {}
    for member in members:
        name, parts[member.filename] = member.filename, member.file_size
        if name.endswith(".npy"):
            parts[name] = check_npy(_stored(content, member, _HEAD), member.file_size)
        elif name.endswith(".npz"):
            inner = _stored(content, member)
            check_npz(io.BytesIO(inner), len(inner), _SPARSE_PARTS, compressed=True)
        elif name == "schema.json":
            schema = json.loads(_stored(content, member))
    if "schema.json" not in parts:
        raise ValueError("it has no schema.json")
    if not isinstance(schema, dict) or not isinstance(schema.get("protocol"), int):
        raise ValueError("it has no protocol number")
    if schema["protocol"] < _OLDEST_PROTOCOL:
        raise ValueError(f"it has protocol {schema['protocol']} of skops, which is too old")
    described = _Schema(trusted, parts)
    described.visit(schema, 0)
    return described.names


def _stored(content: bytes, member: zipfile.ZipInfo, most: int | None = None) -> bytes:
    """Return the first bytes of an uncompressed member, without opening a stream for it."""
    at = member.header_offset
    begin = at + 30 + int.from_bytes(content[at + 26 : at + 28], "little")
    begin += int.from_bytes(content[at + 28 : at + 30], "little")
    size = member.file_size if most is None else min(most, member.file_size)
    return content[begin : begin + size]


class _Schema:
    """Visits the nodes of a file's schema.

    Parameters
    ----------
    trusted : collection of str
    parts : mapping of str to object
        Shape and type of the archive's arrays, and the sizes of its other members.
    """

    def __init__(self, trusted: Collection[str], parts: Mapping[str, Any]) -> None:
        self._trusted = trusted
        self._parts = parts
        self._seen: dict[Any, int] = {}
        self.names: set[str] = set()

    def visit(self, node: Any, level: int) -> int:
        """Check a node and all below it; return a hash that equal nodes share."""
        if level > _DEEPEST:
            raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
        kind = type(node)
        if kind is list:
            return hash(tuple([self.visit(n, level + 1) for n in node]))
        if kind is not dict:
            return hash(node)
        loader = node.get("__loader__")
        if loader is None:  # a part of a node, not a node
            return hash(tuple([(k, self.visit(v, level + 1)) for k, v in node.items()]))
        name = f"{node['__module__']}.{node['__class__']}"
        self.names.add(name)
        if loader == "JsonNode":
            found = hash((loader, node["content"]))
        else:
            if loader != "TypeNode":
                self._check(loader, name, node)
            parts = [
                (k, self.visit(v, level + 1))
                for k, v in node.items()
                if (kind := type(v)) is dict or kind is list
            ]
            found = hash(
                (loader, name, self._parts[node["file"]] if "file" in node else None, tuple(parts))
            )
        identity = node.get("__id__")
        if identity is not None and self._seen.setdefault(identity, found) != found:
            raise ValueError(f"the identity {identity!r} has two different descriptions")
        return found

    def _check(self, loader: str, name: str, node: dict[str, Any]) -> None:
        """Check that a node fits its loader."""
        if loader == "CachedNode":
            raise ValueError("it refers to an object without describing it")
        if loader in _CALLED:
            plain, bases = _CALLED[loader]
            if name not in plain and not self._is_a(name, bases):
                raise ValueError(f"it uses {name} as a {loader.removesuffix('Node')}")
        if (
            loader == "ConstructorFromReduceNode"
            and name not in _FUNCTIONS
            and (name.startswith(_OWN_FORM) or not self._is_a(name, ("builtins.object",)))
        ):
            raise ValueError(f"it calls {name}")
        if loader == "ObjectNode" and name.startswith(_NOT_FILLED):
            raise ValueError(f"it sets the state of {name}")
        if loader == "LossNode" and (
            not name.startswith(_LOSSES) or node["content"].get("content") != {}
        ):
            raise ValueError(f"it uses {name} as a loss")
        if loader == "DictNode":
            keys = node["key_types"]
            if keys["__loader__"] != "ListNode":
                raise ValueError("the keys of a mapping are not a list")
            for key in keys["content"]:
                kind = f"{key['__module__']}.{key['__class__']}"
                if key["__loader__"] != "TypeNode" or not (kind in _KEYS or self._is_number(kind)):
                    raise ValueError(f"it has keys of {kind}")
        elif loader == "DefaultDictNode":
            factory = node["content"]["default_factory"]
            if factory["__loader__"] not in ("TypeNode", "JsonNode") or (
                factory["__module__"] != "builtins"
            ):
                raise ValueError("the default of a mapping is not a builtin type")
        elif loader == "SetNode":
            for item in node["content"]:
                if item["__loader__"] not in ("JsonNode", "TypeNode", "NdArrayNode"):
                    raise ValueError("a set holds more than plain values")
        elif loader == "NdArrayNode" and node["type"] == "json":
            _check_objects(node)
        elif loader == "TreeNode":
            self._check_tree(node)
        elif loader == "ObjectNode" and name.startswith(tuple(_STATES)):
            _check_state(node, next(v for k, v in _STATES.items() if name.startswith(k)))

    def _check_tree(self, node: dict[str, Any]) -> None:
        """Check the sizes of a tree's arrays, which compiled code does not check."""
        _, classes, outputs = node["__reduce__"]["args"]["content"]
        state = node["content"]["content"]
        (nodes, _), (values, _) = (self._parts[state[name]["file"]] for name in ("nodes", "values"))
        shape = (json.loads(outputs["content"]),)
        forms = self._parts[classes["file"]][0], len(nodes), len(values), values[:2]
        if forms != (shape, 1, 3, (*nodes, *shape)):
            raise ValueError("the arrays of a tree do not match its number of outputs")

    def _is_a(self, name: str, bases: tuple[str, ...]) -> bool:
        """Tell whether a name is a class with one of the base classes.

        Untrusted names are not imported: skops rejects them with its own message.
        """
        if bases == ("numpy.generic",) and name.startswith("numpy."):
            return self._is_number(name)
        if name not in self._trusted:
            return True
        found = _imported(name)
        return isinstance(found, type) and issubclass(found, tuple(map(_imported, bases)))

    @staticmethod
    def _is_number(name: str) -> bool:
        import numpy as np

        found = getattr(np, name.removeprefix("numpy."), None) if name.startswith("numpy.") else 0
        return isinstance(found, type) and issubclass(found, np.generic) and name not in _NO_NUMBERS


def _check_state(node: dict[str, Any], kinds: str) -> None:
    """Raise unless the state of a compiled object has the arrays that it needs.

    Compiled code does not check the number of items, and dereferences None.
    """
    state = node["content"]
    if state["__loader__"] != "TupleNode" or len(state["content"]) != len(kinds):
        raise ValueError("the state of an object has the wrong items")
    for kind, item in zip(kinds, state["content"], strict=True):
        whole = item["__loader__"] == "NdArrayNode" and item["type"] == "numpy"
        null = item["__loader__"] == "JsonNode" and item["content"] == "null"
        metric = item["__module__"] == _METRICS and item["__loader__"] == "ObjectNode"
        if not (
            kind == "."
            or (kind in "a?" and whole)
            or (kind == "?" and null)
            or (kind == "m" and metric)
        ):
            raise ValueError("the state of an object has the wrong items")


def _check_objects(node: dict[str, Any]) -> None:
    """Raise unless an array of objects has as many items as its shape declares."""
    shape = [json.loads(n["content"]) for n in node["shape"]["content"]]
    if not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"an array has the shape {shape}")
    level = node["content"]
    for place, n in enumerate(shape):
        if place == 0:
            if len(level) != n:
                raise ValueError(f"an array has {len(level):,} items instead of {n:,}")
            continue
        if any(item.get("__loader__") != "ListNode" or len(item["content"]) != n for item in level):
            raise ValueError(f"the items of an array do not have the shape {shape}")
        level = [inner for item in level for inner in item["content"]]


def _imported(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)
