"""The metrics documents that the runs of a job left in files, at any URI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparkml_dist.errors import StorageError
from sparkml_dist.orchestrators.arguments import option

__all__ = ["stored_documents", "stored_metrics"]


def stored_metrics(arguments: Sequence[str]) -> dict[str, Any] | None:
    """Return the metrics of the last successful run.

    Parameters
    ----------
    arguments : sequence of str
        Arguments of the job. The file is that of ``--metrics-out``, or ``metrics.json`` in the
        folder of ``--output``: a path or a URI that ``pyarrow.fs.FileSystem.from_uri`` opens.

    Returns
    -------
    dict or None
        None where there is no such file, or it is of a failed run.
    """
    return next((found for found in stored_documents(arguments) if found["status"] == "ok"), None)


def stored_documents(arguments: Sequence[str]) -> list[dict[str, Any]]:
    """Return the documents of the last runs, successful and failed; those that can be read."""
    # Airflow imports a DAG's file again and again: without pyarrow, until there is a file to read.
    from sparkml_dist.persistence.filesystem import Folder

    if where := option(arguments, "--metrics-out"):
        places = [where]
    elif output := option(arguments, "--output"):
        places = [
            f"{output.rstrip('/')}/{name}" for name in ("metrics.failed.json", "metrics.json")
        ]
    else:
        places = []
    found = []
    for place in places:
        head, _, name = place.rpartition("/")
        try:
            folder = Folder.at(head or ("/" if place.startswith("/") else "."))
            document = folder.read_json(name) if folder.exists(name) else None
        except StorageError:
            continue
        if isinstance(document, dict) and {"run_id", "status"} <= set(document):
            found.append(document)
    return found
