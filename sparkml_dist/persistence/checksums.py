"""JSON documents with a format, a protocol number and a checksum or signature of their content."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sparkml_dist.errors import ConfigurationError, StorageError

__all__ = [
    "check_document",
    "check_signature",
    "reading_fields",
    "signing_key",
    "with_checksum",
    "with_signature",
]

_LEAST_KEY_BYTES = 16
# Fields that checksums and signatures do not cover.
_OUTSIDE = ("sha256", "hmac")


def _canonical(value: dict[str, Any]) -> bytes:
    body = {k: v for k, v in value.items() if k not in _OUTSIDE}
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def with_checksum(value: dict[str, Any]) -> dict[str, Any]:
    """Return `value` with a ``sha256`` checksum of its content, for `check_document`."""
    return {**value, "sha256": hashlib.sha256(_canonical(value)).hexdigest()}


def with_signature(value: dict[str, Any], key: bytes) -> dict[str, Any]:
    """Return `value` with a checksum and an ``hmac`` (HMAC-SHA256) of its content under a key."""
    return {**with_checksum(value), "hmac": hmac.digest(key, _canonical(value), "sha256").hex()}


def signing_key(variable: str) -> bytes:
    """Return the key in an environment variable.

    Raises
    ------
    ConfigurationError
        ``no_key`` when it is not set, or shorter than 16 bytes.
    """
    key = os.environ.get(variable, "").encode()
    if len(key) < _LEAST_KEY_BYTES:
        raise ConfigurationError(
            "no_key",
            f"The environment variable {variable!r} "
            + ("holds no key." if not key else f"holds a key of {len(key)} bytes only."),
            f"Set it to at least {_LEAST_KEY_BYTES} random bytes, such as the output of "
            "'openssl rand -hex 32', where models are saved and where they are loaded.",
        )
    return key


def check_signature(value: dict[str, Any], key: bytes, where: str) -> None:
    """Raise unless a document is signed with a key.

    Raises
    ------
    StorageError
        ``not_signed``.
    """
    found = value.get("hmac")
    wanted = hmac.digest(key, _canonical(value), "sha256").hex()
    if not (isinstance(found, str) and hmac.compare_digest(found.encode(), wanted.encode())):
        raise StorageError(
            "not_signed",
            f"{where!r} is not signed with this key"
            + (": it has no signature." if found is None else "."),
            "It was saved by somebody else, or altered since: do not load it unless you know its "
            "source.",
        )


def check_document(value: Any, form: str, protocol: int, where: str) -> None:
    """Raise unless a JSON document has this format and protocol, and a matching checksum.

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
            "Check that this is the right folder.",
        )
    found = value.get("protocol")
    if type(found) is not int or not 1 <= found <= protocol:
        raise StorageError(
            "newer_protocol",
            f"{where!r} has protocol {found!r}; this version of sparkml_dist reads up to "
            f"{protocol}.",
            "Upgrade sparkml_dist.",
        )
    if value.get("sha256") != hashlib.sha256(_canonical(value)).hexdigest():
        raise StorageError(
            "altered_manifest",
            f"{where!r} was altered: its content does not match its SHA-256 checksum.",
            "Restore it, or write it again.",
        )


@contextmanager
def reading_fields(where: str, remedy: str) -> Iterator[None]:
    """Report a missing or invalid field of a document as an altered manifest.

    A matching checksum does not prove that a document is complete.

    Parameters
    ----------
    where : str
        The document's location.
    remedy : str
        Hint of the error.

    Raises
    ------
    StorageError
        ``altered_manifest``.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise StorageError(
            "altered_manifest", f"{where!r} has a missing or invalid field: {error}.", remedy
        ) from error
