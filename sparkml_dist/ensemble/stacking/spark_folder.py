"""Stored Spark ML stages, in Spark's own format; loaded only if everything in them is known.

Spark's readers import, or request from the JVM, any class that a ``metadata`` file names, and read
every file in a folder. Both are therefore checked before Spark reads them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from sparkml_dist.errors import StorageError
from sparkml_dist.models.loading import saved_inside
from sparkml_dist.models.persistable import Persistable, save_inside
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import MANIFEST, ModelFile
from sparkml_dist.persistence.parquet import errors_of_store
from sparkml_dist.public_names import PUBLIC_NAMES

__all__ = ["check_stage", "load_stage", "save_stage"]

_MODULES = ("classification", "clustering", "feature", "fpm", "recommendation", "regression")
# It runs any SQL, and through it any function of the JVM.
_EXCLUDED = ("pyspark.ml.feature.SQLTransformer",)
# Uids become names of folders.
_UID = re.compile(r"[A-Za-z0-9_.-]{1,200}")


def save_stage(stage: Any, folder: Folder, name: str) -> list[ModelFile]:
    """Save a stage, fitted or not, in a subfolder; return its files, relative to the folder.

    Parameters
    ----------
    stage : pyspark.ml Estimator or Model
    folder : Folder
    name : str
        Name of the subfolder, which is replaced.
    """
    if isinstance(stage, Persistable):
        return save_inside(stage, folder, name)
    home = folder.child(name)
    home.delete()
    with errors_of_store(home):
        stage.write().overwrite().save(home.spark_path())
    return [ModelFile.of(folder, f"{name}/{file}") for file in home.walk()]


def load_stage(
    folder: Folder, name: str, files: Sequence[ModelFile], trusted: Sequence[str] = ()
) -> Any:
    """Load what `save_stage` saved.

    Parameters
    ----------
    folder : Folder
    name : str
        Name of the subfolder.
    files : sequence of ModelFile
        Verified files of the outer folder.
    trusted : sequence of str
        Dotted names of classes that it may contain besides those of PySpark and this library.

    Raises
    ------
    StorageError
        As `check_stage`.
    """
    kind = check_stage(folder, name, files, trusted)
    if kind is None:
        return saved_inside(folder, name, files, trusted)
    module, _, class_name = kind.rpartition(".")
    home = folder.child(name)
    try:
        return getattr(import_module(module), class_name).load(home.spark_path())
    except Exception as error:
        text = str(error).splitlines()[0] if str(error) else ""
        raise StorageError(
            "damaged_member",
            f"Spark cannot load the {class_name} in {home.location!r}: "
            f"{type(error).__name__}: {text}",
            "It was altered, or saved by another version of Spark: restore it, or fit it again.",
        ) from error


def check_stage(
    folder: Folder, name: str, files: Sequence[ModelFile], trusted: Sequence[str] = ()
) -> str | None:
    """Raise unless a stage consists of listed files and known classes; nothing is imported.

    Parameters
    ----------
    folder, name, files, trusted
        As for `load_stage`.

    Returns
    -------
    str or None
        Dotted name of the stage's class; None if this library saved the stage.

    Raises
    ------
    StorageError
        ``unlisted_file``, ``untrusted_type`` or ``damaged_member``.
    """
    home, head = folder.child(name), f"{name}/"
    listed = {f.name.removeprefix(head) for f in files if f.name.startswith(head)}
    odd = sorted({*home.walk()} ^ listed)
    if odd:
        raise StorageError(
            "unlisted_file",
            f"{home.uri(odd[0])!r} is missing, or is not among the files that the manifest lists; "
            "Spark reads every file in that folder.",
            "It was added, renamed or lost: restore the folder, or fit the model again.",
        )
    own = MANIFEST in listed
    places = {_parent(f) for f in listed if _parent(f).rpartition("/")[2] == "metadata"}
    # The stage's own metadata comes first, even if it is missing.
    kinds = [_kind(home, place, listed) for place in ["metadata", *sorted(places - {"metadata"})]]
    unknown = sorted({k for k in kinds if not _known(k, trusted)})
    if unknown:
        raise StorageError(
            "untrusted_type",
            f"{home.location!r} contains types that are not on the allow-list: "
            f"{', '.join(unknown)}.",
            f"If you trust its source, load it with trusted={unknown!r}.",
        )
    return None if own else kinds[0]


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _kind(home: Folder, place: str, listed: Iterable[str]) -> str:
    """Return the dotted Python name of the class that a ``metadata`` folder names."""
    names = [n for n in listed if _parent(n) == place and n.rpartition("/")[2][0] not in "._"]
    try:
        (name,) = names
        value = json.loads(home.read_bytes(name))
        kind, params = str(value["class"]), value.get("paramMap", {})
        uids = [value["uid"], *params.get("stageUids", ())]
        if not all(isinstance(uid, str) and _UID.fullmatch(uid) for uid in uids):
            raise ValueError(f"{uids!r} are not valid uids of stages")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StorageError(
            "damaged_member",
            f"{home.uri(place)!r} does not describe a stage of Spark ML: {error}.",
            "It was altered: restore it, or fit the model again.",
        ) from error
    return kind.replace("org.apache.spark.", "pyspark.", 1)


def _known(kind: str, trusted: Sequence[str]) -> bool:
    module, _, name = kind.rpartition(".")
    return (
        kind in trusted
        or kind in _spark_classes()
        or (module == "sparkml_dist" and name in PUBLIC_NAMES)
    )


@cache
def _spark_classes() -> frozenset[str]:
    """Return the dotted names of PySpark's own stages, as listed in its modules."""
    from pyspark.ml.param import Params

    found = {f"pyspark.ml.{n}" for n in ("Pipeline", "PipelineModel")}
    found |= {f"pyspark.ml.pipeline.{n}" for n in ("Pipeline", "PipelineModel")}
    for short in _MODULES:
        module = import_module(f"pyspark.ml.{short}")
        for name in module.__all__:
            kind = getattr(module, name)
            if isinstance(kind, type) and issubclass(kind, Params):
                found.add(f"pyspark.ml.{short}.{name}")
    return frozenset(found.difference(_EXCLUDED))
