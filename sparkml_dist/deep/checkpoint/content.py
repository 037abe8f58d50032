"""Checks the manifest of a checkpoint before a training resumes from it."""

from __future__ import annotations

import math
from typing import Any

from sparkml_dist.persistence.checkpoints import REMEDY, Checkpoint
from sparkml_dist.persistence.checksums import reading_fields
from sparkml_dist.persistence.fields import items, mapping, natural, text

__all__ = ["checked_content", "checked_plan"]


def checked_content(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint's content.

    Raises
    ------
    StorageError
        ``altered_manifest`` for a field that is missing or of the wrong type.
    """
    content = checkpoint.content
    with reading_fields(checkpoint.folder.location, REMEDY):
        _check_progress(mapping(content["progress"], "progress"))
        _check_plan(content["plan"])
        ranks = _counted(content["ranks"], "ranks")
        _check_model(mapping(content["model"], "model"))
        if content["extra"] is not None:
            _check_extra(mapping(content["extra"], "extra"))
        shards = items(content["shards"], "shards")
        if len(shards) not in (0, ranks):
            raise TypeError(f"shards has entries of {len(shards)} ranks instead of {ranks}")
        for rank in shards:
            for key, shard in mapping(rank, "shards").items():
                rows, index, owners = (natural(n, key) for n in _of_length(shard, key, 3))
                if not index < owners <= max(rows, owners):
                    raise TypeError(f"{key} is not a valid part of a table: {shard}")
    return content


def checked_plan(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the plan of a checkpoint's training; raises as `checked_content`."""
    with reading_fields(checkpoint.folder.location, REMEDY):
        return _check_plan(checkpoint.content["plan"])


def _check_plan(value: Any) -> dict[str, Any]:
    plan = mapping(value, "plan")
    for name in ("lanes", "batch_size", "rate_batches"):
        _counted(plan[name], name)
    return plan


def _check_progress(progress: dict[str, Any]) -> None:
    names = {"epoch", "step", "steps", "seconds", "waited", "reports"}
    if progress.keys() != names:
        raise TypeError(f"progress has the wrong fields: {sorted(progress)}")
    for name in ("epoch", "step", "steps"):
        natural(progress[name], name)
    for name in ("seconds", "waited"):
        value = progress[name]
        if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
            raise TypeError(f"{name} must be a number of seconds. Got {value!r}")
    for report in items(progress["reports"], "reports"):
        mapping(report, "reports")


def _check_model(model: dict[str, Any]) -> None:
    for layer in items(model["layers"], "layers"):
        text(layer["name"], "name")
        text(layer["class"], "class")
        mapping(layer["config"], "config")
        _check_variables(layer["weights"])
    _check_variables(model["weights"])
    text(model["optimizer"]["class"], "class")
    _check_variables(model["optimizer"]["variables"])


def _check_variables(value: Any) -> None:
    for variable in items(value, "variables"):
        name, shape, dtype = _of_length(variable, "variables", 3)
        text(name, "name")
        text(dtype, "dtype")
        for size in items(shape, "shape"):
            natural(size, "shape")


def _check_extra(extra: dict[str, Any]) -> None:
    if not extra:
        return
    natural(extra["waited"], "waited")
    if extra["best_epoch"] is not None:
        natural(extra["best_epoch"], "best_epoch")
    if extra["best"] is not None and type(extra["best"]) not in (int, float):
        raise TypeError(f"best must be a number. Got {extra['best']!r}")


def _of_length(value: Any, name: str, length: int) -> list[Any]:
    if len(items(value, name)) != length:
        raise TypeError(f"{name} must be lists of length {length}")
    return list(value)


def _counted(value: Any, name: str) -> int:
    if not natural(value, name):
        raise TypeError(f"{name} must be at least 1")
    return int(value)
