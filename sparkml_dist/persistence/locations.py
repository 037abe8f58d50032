"""Canonical forms of locations, and whether two locations are the same place."""

from __future__ import annotations

import os
import posixpath
import re
from urllib.parse import unquote, urlsplit

from sparkml_dist.errors import StorageError

__all__ = [
    "canonical",
    "enclosing",
    "is_uri",
    "joined",
    "local_path",
    "parent_and_name",
    "renames_folders",
    "same_location",
    "without_query",
]

_URI = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://")
_SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*):")
_FILE = re.compile(r"^file:(?://(?:localhost)?(?=/)|(?=/(?!/)))", re.IGNORECASE)
# A URI without a host means Hadoop's default file system.
_HOST_OPTIONAL = ("hdfs", "viewfs")
# File systems that rename folders in one step; elsewhere a folder is only a prefix of file names.
_RENAMING = ("file", "hdfs", "viewfs")
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
    """Tell whether `location` has a scheme (``s3://…``) and is not a local path."""
    return bool(_URI.match(location))


def renames_folders(location: str) -> bool:
    """Tell whether a location's file system renames files and folders in one step."""
    return not is_uri(location) or urlsplit(location).scheme.lower() in _RENAMING


def local_path(location: str) -> str | None:
    """Return the local path of `location`, or None for a remote one."""
    location = canonical(location)
    return None if is_uri(location) else location


def canonical(location: str) -> str:
    """Return `location` in canonical form.

    A local location becomes an absolute path; it may be given as an absolute or relative path, or
    as ``file:/x``, ``file:///x`` or ``file://localhost/x`` (with ``%20`` for a blank). Any other
    is a URI without a slash at its end.

    Raises
    ------
    StorageError
        ``empty_path``; ``scheme_not_known`` for ``scheme:`` without the slashes of a URI, which
        would otherwise create a folder of that name in the current one.
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
        path, query = _without_query(rest)
        return f"{found[1]}:{path.rstrip('/')}{query}"
    raise StorageError(
        "scheme_not_known",
        f"{location!r} is neither a path nor a URI: {found[1]!r} is followed by a colon, but not "
        "by slashes.",
        f"Use file:///… or an absolute path for a local disk, {scheme}://… for a store; write a "
        f"local name with a colon as ./{location}.",
    )


def _absolute(path: str) -> str:
    # POSIX reserves two leading slashes for other meanings, which Linux does not use.
    return re.sub(r"^/+", "/", os.path.abspath(path))


def _on_databricks(location: str, rest: str) -> str:
    """Return the local mount of Databricks' file system, since pyarrow cannot open ``dbfs:``."""
    if rest.startswith("/") and os.path.isdir(_DATABRICKS_MOUNT):
        return _absolute(f"{_DATABRICKS_MOUNT}/{unquote(rest)}")
    raise StorageError(
        "scheme_not_known",
        f"Cannot open {location!r}: this machine has no {_DATABRICKS_MOUNT}, where Databricks "
        "clusters mount dbfs:/.",
        "Run on such a cluster, or use a volume, a shared path or the store's own URI.",
    )


def _without_query(uri: str) -> tuple[str, str]:
    """Return a URI without its query, and the query with its question mark."""
    path, mark, query = uri.partition("?")
    return path, mark + query


def without_query(location: str) -> str:
    """Return a location without the options that a URI's query gives to pyarrow."""
    return _without_query(location)[0] if is_uri(location) else location


def joined(location: str, name: str) -> str:
    """Return the location of `name` in a folder; a URI's query, such as
    ``?endpoint_override=…``, stays at its end.
    """
    if not is_uri(location):
        return f"{location}/{name}"
    path, query = _without_query(location)
    return f"{path}/{name}{query}"


def parent_and_name(location: str) -> tuple[str, str]:
    """Return the folder that a location is in, and its name there; see `joined`."""
    path, query = _without_query(location) if is_uri(location) else (location, "")
    parent, _, name = path.rpartition("/")
    return (parent + query if parent else parent), name


def same_location(one: str, other: str) -> bool:
    """Tell whether two locations are the same place.

    Links are followed on a local disk, whether or not the places exist. Elsewhere ``s3`` and
    ``s3a`` (and the like) are the same store, and a Hadoop URI without a host matches any host:
    in doubt, two places count as the same.
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
    try:  # a case-insensitive disk, or one mounted twice
        return os.path.samefile(one, other)
    except OSError:
        return False


def enclosing(location: str) -> list[str]:
    """Return the folders that enclose `location`, innermost first."""
    location = canonical(location)
    if not is_uri(location):
        head, query, path = "", "", os.path.realpath(location)
    else:
        split = urlsplit(location)
        head, path = f"{split.scheme}://{split.netloc}", _cleaned(split.path)
        query = f"?{split.query}" if split.query else ""
    found = []
    while path != (path := posixpath.dirname(path)):
        found.append(head + path + query)
    return found


def _parts(uri: str) -> tuple[str, str, str]:
    split = urlsplit(uri)
    store = _ONE_STORE.get(split.scheme.lower(), split.scheme.lower())
    # Azure has the container before the @, other stores the user.
    host = split.netloc if store == "abfs" else split.netloc.rpartition("@")[2]
    return store, host.lower(), _cleaned(split.path)


def _cleaned(path: str) -> str:
    return posixpath.normpath("/" + unquote(path).lstrip("/"))
