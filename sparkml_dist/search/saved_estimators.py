"""The estimators of a search in its saved form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparkml_dist.models.loading import Saved
from sparkml_dist.models.persistable import Persistable, save_inside
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import dump_learner, load_learner

__all__ = ["load_estimators", "save_estimators"]

_NAMES = "estimators.json"


def save_estimators(
    folder: Folder, named: Mapping[str | None, Any], *, trusted: Sequence[str]
) -> None:
    """Write estimators: learners as skops files, this library's own in folders."""
    folder.write_json(_NAMES, {"names": list(named)})
    for i, learner in enumerate(named.values()):
        if isinstance(learner, Persistable):
            save_inside(learner, folder, f"estimator-{i:03d}")
        else:
            content = dump_learner(learner, trusted=trusted)
            folder.write_bytes(f"learner-{i:05d}.skops", content)


def load_estimators(saved: Saved) -> Any:
    """Return the value of the Param that `save_estimators` wrote; None if there is none."""
    if not saved.has(_NAMES):
        return None
    found = []
    for i, known in enumerate(saved.read_json(_NAMES)["names"]):
        file = f"learner-{i:05d}.skops"
        if saved.has(file):
            where = saved.folder.uri(file)
            learner = load_learner(saved.read_bytes(file), where, trusted=saved.trusted)
        else:
            learner = saved.inner(f"estimator-{i:03d}")
        found.append((known, learner))
    return found[0][1] if found[0][0] is None else found
