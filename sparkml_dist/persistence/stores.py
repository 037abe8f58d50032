"""Opens the file system of a URI, with patience for stores that are slow or fail for a moment."""

from __future__ import annotations

from pyarrow import fs as pafs

__all__ = ["open_store"]

# pyarrow gives up after 3 s without an answer, and after three tries within a second or two. A busy
# store asks for more (503 "slow down").
_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
_TRIES = 6


def open_store(location: str) -> tuple[pafs.FileSystem, str]:
    """Return the pyarrow file system of a URI, and the path in it.

    S3 requests wait up to 60 s for an answer, and are tried up to six times, with growing pauses.

    Parameters
    ----------
    location : str
        URI that ``pyarrow.fs.FileSystem.from_uri`` opens.

    Raises
    ------
    OSError, ValueError
        Those of pyarrow.
    """
    filesystem, path = pafs.FileSystem.from_uri(location)
    kind = getattr(pafs, "S3FileSystem", None)  # not in every build of pyarrow
    if kind is not None and isinstance(filesystem, kind):
        filesystem = _patient(filesystem)
    return filesystem, path


def _patient(filesystem: pafs.S3FileSystem) -> pafs.FileSystem:
    """Return the same store with our timeouts and tries; a URI cannot name them."""
    _, (options,) = filesystem.__reduce__()
    # What the URI left open comes from the environment, as it did before.
    given = {k: v for k, v in options.items() if v not in (None, "")}
    if not (given.get("proxy_options") or {}).get("host"):
        given.pop("proxy_options", None)
    given |= {
        "connect_timeout": _CONNECT_SECONDS,
        "request_timeout": _ANSWER_SECONDS,
        # A small file is one request instead of three.
        "allow_delayed_open": True,
        "retry_strategy": pafs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
    }
    return pafs.S3FileSystem(**given)
