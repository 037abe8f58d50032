"""Learners in the grid of a ``CrossValidator``, as objects that Spark's writer can save."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from pyspark.ml.evaluation import Evaluator

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.persistable import Persistable
from sparkml_dist.params import StandIn
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import (
    dump_learner,
    load_learner,
    skops_bytes,
    untrusted_types,
)
from sparkml_dist.persistence.model_folder import ModelFile

__all__ = ["GridValue"]


class GridValue(StandIn, Evaluator, Persistable):
    """A learner, or a list of named learners, as the value of a Param in a grid.

    Spark's writer of validators converts a grid's values to JSON, except estimators, transformers
    and evaluators, which save themselves. This class is formally an evaluator for that reason; it
    evaluates nothing, and forwards all attributes to the learner. A Param that is set to it gets
    the learner.

    Parameters
    ----------
    value : scikit-learn estimator, or list of (str, estimator)
    """

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    @staticmethod
    def of(value: Any) -> GridValue:
        """Return a value of a grid; serves as the converter of Params."""
        return value if isinstance(value, GridValue) else GridValue(value)

    def _evaluate(self, dataset: Any) -> float:
        raise ConfigurationError(
            "no_evaluator", f"{self!r} is a value of a grid, not an evaluator."
        )

    # -- forwarded to the learner ---------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "value" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.value, name)

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: Any) -> Any:
        return self.value[index]

    def __repr__(self) -> str:
        return repr(self.value)

    # -- saving and loading ---------------------------------------------------------------

    def _named(self) -> list[tuple[str, Any]]:
        several = isinstance(self.value, list | tuple)
        return list(self.value) if several else [("", self.value)]

    def _state(self) -> dict[str, Any]:
        names = [name for name, _ in self._named()]
        return {"names": names if isinstance(self.value, list | tuple) else None}

    def _needs_trust(self) -> Sequence[str]:
        found = (untrusted_types(skops_bytes(learner)) for _, learner in self._named())
        return sorted(set().union(*found))

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        files = []
        for i, (name, learner) in enumerate(self._named()):
            if not hasattr(learner, "get_params"):
                raise ConfigurationError(
                    "param_not_saved",
                    f"A grid with a {type(learner).__name__} ({name!r}) cannot be saved.",
                    "Use scikit-learn learners in the grid.",
                )
            folder.write_bytes(_file(i), dump_learner(learner, trusted=self._needs_trust()))
            files.append(ModelFile.of(folder, _file(i)))
        return files

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        names = saved.state["names"]
        learners = [
            load_learner(saved.read_bytes(name), saved.folder.uri(name), trusted=saved.trusted)
            for name in (_file(i) for i in range(1 if names is None else len(names)))
        ]
        return cls(learners[0] if names is None else list(zip(names, learners, strict=True)))


def _file(index: int) -> str:
    return f"learner-{index:05d}.skops"
