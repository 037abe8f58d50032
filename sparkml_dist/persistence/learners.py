"""scikit-learn learners in skops format: an allow-list of types, no pickle."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any

from sparkml_dist.errors import (
    ConfigurationError,
    ResourceError,
    StorageError,
    TrainingError,
)
from sparkml_dist.persistence.boosters.objectives import UnknownObjectiveError
from sparkml_dist.persistence.boosters.stored import store_boosters
from sparkml_dist.persistence.distributions import store_distributions
from sparkml_dist.persistence.skops_archive import check_learner_archive
from sparkml_dist.persistence.soundness import check_learner
from sparkml_dist.persistence.soundness.packed_trees import packed, unpacked
from sparkml_dist.persistence.trusted_types import TRUSTED_TYPES, as_list

__all__ = ["dump_learner", "load_learner", "skops_bytes", "untrusted_error", "untrusted_types"]

_EPOCH = (1980, 1, 1, 0, 0, 0)


def dump_learner(learner: Any, *, trusted: Sequence[str] = ()) -> bytes:
    """Return a fitted learner in skops format; equal learners give equal bytes.

    Parameters
    ----------
    learner : object
        A scikit-learn estimator.
    trusted : sequence of str
        Dotted names of types to allow besides `TRUSTED_TYPES`.

    Returns
    -------
    bytes

    Raises
    ------
    StorageError
        ``untrusted_type`` when what is written could not be loaded again.
    TrainingError
        ``not_storable``.
    """
    try:
        content = skops_bytes(learner)
    except Exception as error:
        raise TrainingError(
            "not_storable",
            f"skops cannot store {type(learner).__name__}: {error}.",
            "Use a learner built from scikit-learn's own classes.",
        ) from error
    if unknown := untrusted_types(content, trusted):
        raise untrusted_error(type(learner).__name__, unknown, trusted)
    return _canonical(content)


def skops_bytes(learner: Any) -> bytes:
    """Return a learner in skops format, with any types."""
    import skops.io

    if "scipy.stats" in sys.modules:
        store_distributions()
    store_boosters()
    content: bytes = skops.io.dumps(packed(learner))
    return content


def untrusted_error(name: str, unknown: Sequence[str], trusted: Sequence[str]) -> StorageError:
    """Return the error for a learner with types that are not on the allow-list.

    Parameters
    ----------
    name : str
        Name of the learner's class.
    unknown : sequence of str
        All types that are not on the list.
    trusted : sequence of str
        Types trusted already; the hint lists both.
    """
    return StorageError(
        "untrusted_type",
        f"{name} contains types that are not on the allow-list: {', '.join(unknown)}.",
        f"If you trust them: {as_list([*trusted, *unknown])}.",
    )


def load_learner(content: bytes, where: str, *, trusted: Sequence[str] = ()) -> Any:
    """Return the learner in `content`.

    Parameters
    ----------
    content : bytes
        The bytes of `dump_learner`.
    where : str
        The file's location, for messages.
    trusted : sequence of str
        Dotted names of types to allow besides `TRUSTED_TYPES`.

    Raises
    ------
    StorageError
        ``damaged_member`` or ``untrusted_type``; no object of an untrusted type is created.
    ConfigurationError
        ``booster_missing`` if a booster's package is not installed.
    ResourceError
        ``out_of_memory``.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    allowed = TRUSTED_TYPES | set(trusted)
    try:
        described = check_learner_archive(content, allowed)
        try:
            # skops searches the whole list at each node: pass only the names in the file.
            loaded = skops.io.loads(content, trusted=sorted(allowed & described))
        except UntrustedTypesFoundException:  # functions are described in another way
            loaded = skops.io.loads(content, trusted=sorted(allowed))
        check_learner(loaded)
        return unpacked(loaded)
    except UntrustedTypesFoundException as error:
        unknown = untrusted_types(content, trusted)
        raise StorageError(
            "untrusted_type",
            f"{where!r} contains types that are not on the allow-list: {', '.join(unknown)}.",
            "Only if you trust its source, load it with trusted="
            f"[{', '.join(map(repr, unknown))}] (--trusted-types {' '.join(unknown)}), or trust "
            "them in the session: spark.conf.set('spark.sparkml_dist.trustedTypes', "
            f"'{','.join(unknown)}').",
        ) from error
    except MemoryError as error:
        raise ResourceError(
            "out_of_memory",
            f"{where!r} ({len(content):,} bytes) does not fit in the free memory of this process.",
            "Give workers more memory, or keep fewer of a model's members in memory at once: "
            "setMemoryPerTask.",
        ) from error
    except ConfigurationError:
        raise
    except UnknownObjectiveError as error:
        raise StorageError(
            "damaged_member",
            f"{where!r} cannot be loaded: {error}.",
            "The file was altered, or written with a newer version of the package: fit the model "
            "again with one of these objectives.",
        ) from error
    except Exception as error:
        raise StorageError(
            "damaged_member",
            f"{where!r} cannot be loaded: {type(error).__name__}: {error}.",
            "It was truncated or altered, or written with another version of scikit-learn (see "
            "manifest.json); restore it or fit the model again.",
        ) from error


def untrusted_types(content: bytes, trusted: Iterable[str] = ()) -> list[str]:
    """Return the types and functions of a learner's file that are not on the allow-list, sorted.

    No object is created and nothing is imported.

    Parameters
    ----------
    content : bytes
        In skops format.
    trusted : iterable of str
        Dotted names to allow besides `TRUSTED_TYPES`.
    """
    import skops.io

    return sorted(set(skops.io.get_untrusted_types(data=content)) - TRUSTED_TYPES - set(trusted))


def _canonical(content: bytes) -> bytes:
    """Return a skops archive without details that differ between runs.

    skops names objects by their memory address, and the archive holds times. Here objects are
    numbered in the order of first mention, so that equal learners give equal bytes, and checksums
    show whether a repeated run ended with the same model.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        schema = json.loads(source.read("schema.json"))
        numbers: dict[str, int] = {}

        def number(identity: Any) -> int:
            return numbers.setdefault(str(identity), len(numbers) + 1)

        def renumber(node: Any) -> None:
            if isinstance(node, dict):
                if "__id__" in node:
                    node["__id__"] = number(node["__id__"])
                if isinstance(node.get("file"), str):
                    stem, _, suffix = node["file"].partition(".")
                    node["file"] = f"{number(stem)}.{suffix}"
                for value in node.values():
                    renumber(value)
            elif isinstance(node, list):
                for value in node:
                    renumber(value)

        renumber(schema)
        files: dict[str, bytes] = {}
        for name in source.namelist():
            if name != "schema.json":
                stem, _, suffix = name.partition(".")
                files[f"{number(stem)}.{suffix}"] = source.read(name)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target:
        for name in sorted(files):
            target.writestr(zipfile.ZipInfo(name, _EPOCH), files[name])
        text = json.dumps(schema)
        target.writestr(zipfile.ZipInfo("schema.json", _EPOCH), text)
    return out.getvalue()
