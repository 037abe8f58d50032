"""Whether a fit may write its model into a folder, or what stands in the way."""

from __future__ import annotations

from collections.abc import Sequence

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["check_model_home"]


def check_model_home(
    folder: Folder, marks: Sequence[str], *, overwrite: bool, resume: bool
) -> None:
    """Raise unless a fit may write into `folder`.

    Parameters
    ----------
    folder : Folder
        The Param ``modelDir``.
    marks : sequence of str
        Files of which a model, or the beginning of one, has one at least.
    overwrite, resume : bool
        What to do where there is something already.

    Raises
    ------
    StorageError
        ``output_exists``: something else lies there, or a model that is neither to be replaced
        nor completed.
    """
    if folder.is_empty():
        return
    if not any(folder.exists(mark) for mark in marks):
        raise StorageError(
            "output_exists",
            f"modelDir {folder.location!r} is not empty and holds no model.",
            "Choose another folder; it will not be overwritten.",
        )
    if not (overwrite or resume):
        raise StorageError(
            "output_exists",
            f"modelDir {folder.location!r} holds a model, or the beginning of one.",
            "Pass overwrite=True to replace it or resume=True to complete it.",
        )
