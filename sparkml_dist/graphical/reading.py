"""Reads networks from BIF and XMLBIF files."""

from __future__ import annotations

import gzip
import io
import os
import zlib

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.graphical.formats.bif import from_bif
from sparkml_dist.graphical.formats.xmlbif import from_xmlbif
from sparkml_dist.graphical.network_model import BayesianNetworkModel
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.locations import parent_and_name

__all__ = ["read_network"]

_READERS = {"bif": from_bif, "xmlbif": from_xmlbif, "xml": from_xmlbif}
_MOST_BYTES = 256 << 20


def read_network(path: str | os.PathLike[str]) -> BayesianNetworkModel:
    r"""Read a network from a BIF or XMLBIF file.

    Parameters
    ----------
    path : str or path-like
        Ending in ``.bif``, ``.xmlbif`` or ``.xml``, and ``.gz`` where it is compressed.

    Returns
    -------
    BayesianNetworkModel

    Raises
    ------
    ConfigurationError
        ``unknown_format``.
    DataError
        ``network_not_read``, with the number of the line; ``not_utf8``.
    StorageError
        ``file_not_found``.

    Examples
    --------
    >>> text = "network n {}\nvariable A { type discrete [2] { yes, no }; }\n"
    >>> text += "probability ( A ) { table 0.2, 0.8; }"
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "one.bif")
    >>> _ = path.write_text(text)
    >>> read_network(path).marginals()
    {'A': {'yes': 0.2, 'no': 0.8}}
    """
    location = os.fspath(path)
    folder, name = parent_and_name(location)
    parts = name.lower().split(".")
    packed = parts[-1] == "gz"
    ending = parts[-2] if packed and len(parts) > 1 else parts[-1]
    if ending not in _READERS or len(parts) < 2:
        raise ConfigurationError(
            "unknown_format",
            f"The name {name!r} does not tell the format of a network.",
            f"Let it end in one of {', '.join('.' + f for f in _READERS)}.",
        )
    content = Folder.at(folder or ".").read_bytes(name)
    try:
        if packed:
            content = _unpacked(content)
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            "not_utf8", f"{location!r} is not UTF-8: {error}.", "Save it as UTF-8."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            "network_not_read", f"{location!r} is not a gzip file: {error}.", "Restore the file."
        ) from error
    return BayesianNetworkModel(_READERS[ending](text, repr(location)))


def _unpacked(content: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        found = stream.read(_MOST_BYTES + 1)
    if len(found) > _MOST_BYTES:
        raise DataError(
            "network_not_read",
            f"The file unpacks to more than {_MOST_BYTES >> 20} MiB.",
            "Give a smaller network.",
        )
    return found
