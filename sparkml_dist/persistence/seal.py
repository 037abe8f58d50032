"""JSON documents that carry their form, their protocol number and a hash of themselves."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sparkml_dist.errors import ConfigurationError, StorageError

__all__ = ["check_sealed", "check_signed", "reading_fields", "sealed", "signed", "signing_key"]

_LEAST_KEY_BYTES = 16
# What is left out of the hash of a document.
_OUTSIDE = ("sha256", "hmac")


def _canonical(value: dict[str, Any]) -> bytes:
    body = {k: v for k, v in value.items() if k not in _OUTSIDE}
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def sealed(value: dict[str, Any]) -> dict[str, Any]:
    """Return `value` with a ``sha256`` of its own content, for `check_sealed`."""
    return {**value, "sha256": hashlib.sha256(_canonical(value)).hexdigest()}


def signed(value: dict[str, Any], key: bytes) -> dict[str, Any]:
    """Return `value` sealed, and with an ``hmac`` (HMAC-SHA256) of its content under a key."""
    return {**sealed(value), "hmac": hmac.digest(key, _canonical(value), "sha256").hex()}


def signing_key(variable: str) -> bytes:
    """Return the key that an environment variable holds.

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
            f"Set it to {_LEAST_KEY_BYTES} random bytes at least, such as the output of "
            "'openssl rand -hex 32', where models are saved and where they are loaded.",
        )
    return key


def check_signed(value: dict[str, Any], key: bytes, where: str) -> None:
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
            + (": it is not signed at all." if found is None else "."),
            "It was saved by somebody else, or altered since: do not load it unless you know where "
            "it comes from.",
        )


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
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise StorageError(
            "altered_manifest", f"{where!r} lacks or misnames a field: {error}.", remedy
        ) from error
