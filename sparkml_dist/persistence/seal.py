"""JSON documents that carry their form, their protocol number and a hash of themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sparkml_dist.errors import StorageError

__all__ = ["check_sealed", "reading_fields", "sealed"]


def _digest(value: dict[str, Any]) -> str:
    body = {k: v for k, v in value.items() if k != "sha256"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(value: dict[str, Any]) -> dict[str, Any]:
    """Return `value` with a ``sha256`` of its own content, for `check_sealed`."""
    return {**value, "sha256": _digest(value)}


def check_sealed(value: Any, form: str, protocol: int, where: str) -> None:
    """Raise unless a JSON document is of this form and protocol, and unaltered.

    Raises
    ------
    StorageError
        ``not_a_manifest``, ``newer_protocol`` or ``altered_manifest``.
    """
    if not isinstance(value, dict) or value.get("format") != form:
        found = value.get("format") if isinstance(value, dict) else type(value).__name__
        raise StorageError(
            "not_a_manifest",
            f"{where!r} must have the format {form!r}. Got {found!r}.",
            "Is this the folder of something else?",
        )
    if not isinstance(value.get("protocol"), int) or value["protocol"] > protocol:
        raise StorageError(
            "newer_protocol",
            f"{where!r} has protocol {value.get('protocol')!r}; this version of sparkml_dist "
            f"reads up to {protocol}.",
            "Upgrade sparkml_dist.",
        )
    if value.get("sha256") != _digest(value):
        raise StorageError(
            "altered_manifest",
            f"{where!r} was altered: its content does not match its SHA-256.",
            "Restore it, or write it anew.",
        )


@contextmanager
def reading_fields(where: str, remedy: str) -> Iterator[None]:
    """Report a field that a document lacks, or that is of another kind, as an altered manifest.

    A seal only proves that a document is as somebody sealed it, not that it is whole.

    Parameters
    ----------
    where : str
        The document's location.
    remedy : str
        What to do about it.

    Raises
    ------
    StorageError
        ``altered_manifest``.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError) as error:
        raise StorageError(
            "altered_manifest", f"{where!r} lacks or misnames a field: {error}.", remedy
        ) from error
