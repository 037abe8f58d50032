"""How a location is spelled, and whether two spellings name one place."""

from __future__ import annotations

import os
import posixpath
import re
from urllib.parse import unquote, urlsplit

from sparkml_dist.errors import StorageError

__all__ = ["canonical", "enclosing", "is_uri", "local_path", "same_location"]

_URI = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://")
_SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*):")
_FILE = re.compile(r"^file:(?://(?:localhost)?(?=/)|(?=/(?!/)))", re.IGNORECASE)
# Hadoop's default file system is the one a URI without a host means.
_HOST_OPTIONAL = ("hdfs", "viewfs")
_DATABRICKS_MOUNT = "/dbfs"
_ONE_STORE = {
    "s3a": "s3",
    "s3n": "s3",
    "gcs": "gs",
    "abfss": "abfs",
    "wasb": "abfs",
    "wasbs": "abfs",
}


def is_uri(location: str) -> bool:
    """Tell whether `location` names a scheme (``s3://…``) rather than a local path."""
    return bool(_URI.match(location))


def local_path(location: str) -> str | None:
    """Return the local path behind `location`, or None where it is not on a local disk."""
    location = canonical(location)
    return None if is_uri(location) else location


def canonical(location: str) -> str:
    """Return `location` as the toolkit spells it.

    A local one is an absolute path, whether it was given as such, relative to the current folder,
    or as ``file:/x``, ``file:///x`` or ``file://localhost/x`` (with ``%20`` for a blank). Any other
    is a URI without a slash at its end.

    Raises
    ------
    StorageError
        ``empty_path``; ``scheme_not_known``: ``scheme:`` without the slashes of a URI would
        otherwise make a folder of that name in the current one.
    """
    if not location:
        raise StorageError("empty_path", "A path must not be empty. Got ''.")
    if file := _FILE.match(location):
        return _absolute(unquote(location[file.end() :]))
    found = _SCHEME.match(location)
    if found is None:
        return _absolute(location)
    scheme, rest = found[1].lower(), location[found.end() :]
    if scheme == "dbfs":
        return _on_databricks(location, rest)
    if scheme in _HOST_OPTIONAL and rest.startswith("/") and not rest.startswith("//"):
        rest = "//" + rest
    if rest.startswith("//") and scheme != "file":
        return f"{found[1]}:{rest}".rstrip("/")
    raise StorageError(
        "scheme_not_known",
        f"Cannot tell what {location!r} names: {found[1]!r} is followed by a colon as in a URI, "
        "which this is not.",
        f"Write file:///… or an absolute path for this machine's disk, {scheme}://… for a store; "
        f"a local name with a colon is ./{location}.",
    )


def _absolute(path: str) -> str:
    # POSIX lets two slashes at the beginning mean something of their own; no Linux does.
    return re.sub(r"^/+", "/", os.path.abspath(path))


def _on_databricks(location: str, rest: str) -> str:
    """Return where Databricks mounts its file system, as pyarrow cannot open ``dbfs:``."""
    if rest.startswith("/") and os.path.isdir(_DATABRICKS_MOUNT):
        return _absolute(f"{_DATABRICKS_MOUNT}/{unquote(rest)}")
    raise StorageError(
        "scheme_not_known",
        f"Cannot open {location!r}: this machine has no {_DATABRICKS_MOUNT}, which is where dbfs:/ "
        "is mounted on a Databricks cluster.",
        "Run where it is mounted, or name a volume, a shared path or the store's own URI.",
    )


def same_location(one: str, other: str) -> bool:
    """Tell whether two locations are one place.

    Links are followed on a local disk, whether or not the places exist. Elsewhere ``s3`` and
    ``s3a`` (and the like) are one store, and a Hadoop URI without a host is taken for any host's:
    where it cannot be known, the places count as the same.
    """
    one, other = canonical(one), canonical(other)
    if is_uri(one) != is_uri(other):
        return False
    if is_uri(one):
        (store, host, path), (other_store, other_host, other_path) = _parts(one), _parts(other)
        any_host = store in _HOST_OPTIONAL and not (host and other_host)
        return (store, path) == (other_store, other_path) and (any_host or host == other_host)
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    try:  # a disk that does not tell Name from name, or is mounted twice
        return os.path.samefile(one, other)
    except OSError:
        return False


def enclosing(location: str) -> list[str]:
    """Return the folders that `location` lies in, innermost first."""
    location = canonical(location)
    if not is_uri(location):
        head, path = "", os.path.realpath(location)
    else:
        split = urlsplit(location)
        head, path = f"{split.scheme}://{split.netloc}", _cleaned(split.path)
    found = []
    while path != (path := posixpath.dirname(path)):
        found.append(head + path)
    return found


def _parts(uri: str) -> tuple[str, str, str]:
    split = urlsplit(uri)
    store = _ONE_STORE.get(split.scheme.lower(), split.scheme.lower())
    # Azure names the container before the @, the others who asks.
    host = split.netloc if store == "abfs" else split.netloc.rpartition("@")[2]
    return store, host.lower(), _cleaned(split.path)


def _cleaned(path: str) -> str:
    return posixpath.normpath("/" + unquote(path).lstrip("/"))
