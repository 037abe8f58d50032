"""What is done to a saved folder before it is loaded: accidents, additions, and forgeries.

A forgery has valid checksums: whoever alters a file can write the manifest anew. What a forged
model says may differ, since its author may be anybody; what it makes a process do may not.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparkml_dist.persistence.checksums import with_checksum

#: Written by whatever of a folder is run or imported, to the file that CANARY names.
EVIL = """import os

with open(os.environ["CANARY"], "a") as file:
    file.write(__name__)


def run(*arguments, **options):
    with open(os.environ["CANARY"], "a") as file:
        file.write("called")


class Model:
    load = read = staticmethod(run)

    def __init__(self, *arguments, **options):
        run()
"""


@dataclass(frozen=True)
class Alteration:
    """A change of a saved folder.

    Attributes
    ----------
    kind : str
        Its row in the table.
    name : str
    apply : callable
        ``apply(folder)`` changes a copy.
    forged : bool
        Whether checksums are valid after it, so that another result is no fault.
    """

    kind: str
    name: str
    apply: Callable[[Path], None]
    forged: bool = False


def alterations(home: Path, seed: int = 0) -> Iterator[Alteration]:
    """Yield what can be done to the folder `home`."""
    draw = random.Random(f"{seed} {home.name}")
    names = sorted(str(p.relative_to(home)) for p in home.rglob("*") if p.is_file())
    listed = [n for n in names if not n.startswith(("metadata/", "manifest.json"))]
    yield from _accidents(["manifest.json", *draw.sample(listed, min(3, len(listed)))], draw)
    yield from _additions(home)
    yield from _forged_manifests(home, draw)
    yield from _forged_files(home, listed, draw)


# -- accidents ------------------------------------------------------------------------------------


def _accidents(names: list[str], draw: random.Random) -> Iterator[Alteration]:
    for name in names:
        at = draw.random()
        yield Alteration("a byte changed", name, _changing(name, lambda c, at=at: _flipped(c, at)))
        yield Alteration("cut in half", name, _changing(name, lambda c: c[: len(c) // 2]))
        yield Alteration("emptied", name, _changing(name, lambda c: b""))
        yield Alteration("one byte more", name, _changing(name, lambda c: c + b"\0"))
        yield Alteration("deleted", name, lambda home, name=name: (home / name).unlink())
        yield Alteration("renamed", name, lambda home, name=name: _renamed(home, name))


def _changing(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda home: _write(home / name, change((home / name).read_bytes()))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _flipped(content: bytes, at: float) -> bytes:
    if not content:
        return b"?"
    index = int(at * len(content))
    return content[:index] + bytes([content[index] ^ 0x20]) + content[index + 1 :]


def _renamed(home: Path, name: str) -> None:
    (home / name).rename((home / name).with_name(f"x-{Path(name).name}"))


# -- additions ------------------------------------------------------------------------------------


def _additions(home: Path) -> Iterator[Alteration]:
    for place in sorted({p.parent.relative_to(home) for p in home.rglob("*") if p.is_file()}):
        for suffix in (".parquet", ".skops", ".npy", ".json"):
            found = sorted((home / place).glob(f"*{suffix}"))
            if found and not (place.name == "" and suffix == ".json"):
                yield Alteration(
                    "a file added",
                    f"{place}/*{suffix}",
                    lambda home, place=place, name=found[0].name: _copied(home / place, name),
                )

    def evil(home: Path) -> None:
        for name in ("evil.py", "sklearn.py", "builder.py", "__init__.py", "conftest.py"):
            if not (home / name).exists():
                (home / name).write_text(EVIL)

    yield Alteration("a module added", "evil.py", evil)


def _copied(folder: Path, name: str) -> None:
    first = folder / f"!{name}" if name.endswith((".skops", ".npy")) else folder / f"part-0{name}"
    shutil.copyfile(folder / name, first)


# -- forged manifests -----------------------------------------------------------------------------


def _forging(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(home: Path) -> None:
        (home / "evil.py").write_text(EVIL)
        path = home / "manifest.json"
        value = json.loads(path.read_text())
        value = change(value) or value
        path.write_text(json.dumps(with_checksum(value) if isinstance(value, dict) else value))

    return apply


def _forged_manifests(home: Path, draw: random.Random) -> Iterator[Alteration]:
    value = json.loads((home / "manifest.json").read_text())

    def forged(kind: str, name: str, change: Callable[[dict[str, Any]], Any]) -> Alteration:
        return Alteration(kind, name, _forging(change), forged=True)

    if "class" in value:
        for found in (
            *("evil.Model", "os.system", "builtins.print", "sparkml_dist.errors.DataError"),
            *("BaggingClassificationModel", "CentersModel", "KMeans", "load_model", "", 5),
        ):
            yield forged("another class", str(found), lambda v, c=found: v.update({"class": c}))
    for field in sorted(value):
        if field not in ("sha256",):
            yield forged("a field gone", field, lambda v, f=field: v.pop(f) and None)
            other = draw.choice([None, -1, "x", [], {}, [None], {"a": 1}, 1e308, True])
            yield forged(
                "a field of another kind",
                f"{field} = {other!r}",
                lambda v, f=field, o=other: v.update({f: o}),
            )
    yield forged("not an object", "[]", lambda v: [v])
    for name in ("../evil.pth", "/etc/passwd", "a/../../x", "file:///etc/passwd", ".", "\0"):
        for field in ("files", "shards"):
            if value.get(field):
                key = "name" if field == "files" else "file"
                yield forged(
                    "a name outside",
                    repr(name),
                    lambda v, f=field, k=key, n=name: v[f][0].update({k: n}),
                )
    leaves = [path for path in _leaves(value) if path[0] in ("state", "params", "shards", "label")]
    for path in draw.sample(leaves, min(5, len(leaves))):
        other = draw.choice([None, -1, 10**13, "evil.Model", [], {}, 1e308, [[]]])
        yield forged(
            "a value of another kind",
            f"{'.'.join(map(str, path))} = {other!r}",
            lambda v, p=path, o=other: _set(v, p, o),
        )


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value[:3])
    if not items and path:
        yield path
    for key, inner in items:
        yield from _leaves(inner, (*path, key))


def _set(value: Any, path: tuple[Any, ...], other: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = other


# -- forged files ---------------------------------------------------------------------------------


def _forged_files(home: Path, listed: list[str], draw: random.Random) -> Iterator[Alteration]:
    makers = {
        ".skops": (_stranger, _function, _bomb, _garbage),
        ".npy": (_pickled, _huge_array, _garbage),
        ".keras": (_lambda_layer, _bomb, _garbage),
        ".parquet": (_other_table, _garbage),
        ".json": (_other_json,),
    }
    for suffix, changes in makers.items():
        names = [n for n in listed if n.endswith(suffix) and not n.endswith("manifest.json")]
        for change in changes if names else ():
            name = draw.choice(names)
            yield Alteration(
                "a file forged",
                f"{change.__name__.strip('_')} {name}",
                lambda home, n=name, c=change: _forge_file(home, n, c),
                forged=True,
            )
    for name in [n for n in listed if "/metadata/" in n and n.rpartition("/")[2][0] not in "._"]:
        if (home / name).read_bytes().startswith(b"{"):
            for kind in ("evil.Model", "org.apache.spark.ml.feature.SQLTransformer"):
                yield Alteration(
                    "a stage of another class",
                    f"{kind} {name}",
                    lambda home, n=name, k=kind: _forge_file(
                        home, n, lambda c, k=k: json.dumps(json.loads(c) | {"class": k}).encode()
                    ),
                    forged=True,
                )


def _forge_file(home: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file, and every checksum of it in the manifests above."""
    (home / "evil.py").write_text(EVIL)
    path = home / name
    before = path.read_bytes()
    path.write_bytes(change(before))
    manifests = [p / "manifest.json" for p in path.parents if (p / "manifest.json").exists()]
    old, new = _facts(before), _facts(path.read_bytes())
    for manifest in manifests:
        if home not in manifest.parents:
            continue
        text = manifest.read_bytes()
        value = _replaced(json.loads(text), old, new)
        manifest.write_text(json.dumps(with_checksum(value)))
        old, new = {**old, **_facts(text)}, {**new, **_facts(manifest.read_bytes())}
        old, new = _facts(text) | old, _facts(manifest.read_bytes()) | new


def _facts(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _replaced(value: Any, old: dict[str, Any], new: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_replaced(v, old, new) for v in value]
    if not isinstance(value, dict):
        return value
    if value.get("sha256") == old["sha256"]:
        value = value | {k: new[k] for k in new if k in value}
    return {k: _replaced(v, old, new) for k, v in value.items()}


def _garbage(content: bytes) -> bytes:
    return b"PK\x03\x04" + bytes(range(256))


def _archive(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def _members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _stranger(content: bytes) -> bytes:
    """A member of a type from a module that lies in the folder."""
    members = _members(content)
    schema = json.loads(members["schema.json"])
    schema |= {"__module__": "evil", "__class__": "Model", "__loader__": "ObjectNode"}
    return _archive(members | {"schema.json": json.dumps(schema).encode()})


def _function(content: bytes) -> bytes:
    """A member that is a function, called where its owner calls its members."""
    node = {"__class__": "function", "__module__": "os", "__loader__": "FunctionNode", "__id__": 1}
    node["content"] = {"module_path": "os", "function": "system"}
    old = json.loads(_members(content)["schema.json"])
    node |= {"protocol": old.get("protocol"), "_skops_version": old.get("_skops_version")}
    return _archive({"schema.json": json.dumps(node).encode()})


def _bomb(content: bytes) -> bytes:
    """A megabyte that unpacks to a gigabyte."""
    members = _members(content)
    name = next((n for n in members if n.endswith((".npy", ".h5"))), "1.npy")
    return _archive(members | {name: bytes(2**30)})


def _pickled(content: bytes) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return out.getvalue()


def _huge_array(content: bytes) -> bytes:
    out = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(out, header)
    return out.getvalue()


def _lambda_layer(content: bytes) -> bytes:
    members = _members(content)
    config = json.loads(members["config.json"])
    layer = {"module": "evil", "class_name": "Model", "config": {}, "registered_name": "Model"}
    config["config"]["layers"].append(layer | {"name": "evil", "inbound_nodes": []})
    return _archive(members | {"config.json": json.dumps(config).encode()})


def _other_table(content: bytes) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table({"items": ["evil.Model"], "count": [2**40]}), out)
    return out.getvalue()


def _other_json(content: bytes) -> bytes:
    return json.dumps({"file": "evil.py", "function": "run", "name": "../evil.py:run"}).encode()
