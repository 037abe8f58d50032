"""Base of the estimators that take scikit-learn learners."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.sizing import DEFAULT_MEMORY_PER_TASK
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.dry_fit import Candidate, dry_fit
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.learners.learner import Traits, refuse_unusable
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.shard_estimator import ShardEstimator
from sparkml_dist.params import param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import dump_learner, load_learner
from sparkml_dist.session import get_session, trusted_in_session
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["LearnerParams", "check_learner", "learner_plan"]

# Largest sparse shard that is made dense for a learner without support for sparse matrices.
_MAX_DENSIFIED_BYTES = 1 << 30


class LearnerParams(ShardEstimator):
    """Base of the estimators that take scikit-learn learners."""

    trustedTypes: Any = param(
        "trustedTypes",
        "dotted names of types that members may contain in addition to the allow-list",
        TypeConverters.toListString,
    )

    _model_class: ClassVar[type[Any]]

    @abstractmethod
    def _learners(self) -> list[Any]:
        """Return the unfitted learners that members are copies of."""

    def _voting(self) -> str:
        """Return how members are combined: ``"soft"``, ``"hard"`` or ``"mean"``."""
        return "mean" if self._task == "regression" else "soft"

    def _check_params(self, spark: SparkSession) -> None:
        for learner in self._learners():
            refuse_unusable(learner, voting=self._voting(), task=self._task)

    def _check_data(self, data: PartitionedDataset) -> None:
        for known in self._known(data):
            check_learner(known.traits, data)

    def _trusted(self) -> tuple[str, ...]:
        """Return the types that members may contain in addition to the allow-list."""
        return (*self.getOrDefault(self.trustedTypes), *trusted_in_session())

    def _candidates(self, data: PartitionedDataset) -> list[Candidate]:
        """Return the candidates of the dry fit, the learners first."""
        classes = data.manifest.label.classes
        return [Candidate(KnownLearner.of(x, data.schema, classes)) for x in self._learners()]

    def _known(self, data: PartitionedDataset) -> list[KnownLearner]:
        """Return the learners, and the other candidates, as described by a dry fit."""
        return dry_fit(get_session(), data, self._candidates(data), self._trusted())

    def _shard_memory(self) -> int | str | None:
        given = super()._shard_memory()
        wide = any(Traits.of(x).dtype == "float64" for x in self._learners())
        if not wide or self.isSet(self.numShards):
            return given
        # A float64 block is twice as large as the float32 block that shards are sized for.
        return parse_size(given or DEFAULT_MEMORY_PER_TASK) // 2

    def _save_object(self, folder: Folder, name: str) -> None:
        """Write the learners as skops files; see `_object_params`."""
        for i, learner in enumerate(self._learners()):
            content = dump_learner(learner, trusted=self._trusted())
            folder.write_bytes(f"learner-{i:05d}.skops", content)

    def _stored_learners(self, saved: Saved) -> list[Any]:
        return [
            load_learner(saved.read_bytes(name), saved.folder.uri(name), trusted=saved.trusted)
            for name in saved.names(head="learner-", suffix=".skops")
        ]


def learner_plan(learner: Any) -> dict[str, Any]:
    """Return what identifies a learner in the plan of a fit."""
    params = {k: repr(v) for k, v in sorted(learner.get_params(deep=True).items())}
    return {"type": type(learner).__name__, "params": params}


def check_learner(traits: Traits, data: PartitionedDataset, *, shards: int = 1) -> None:
    """Raise if a learner cannot learn from a data set, judging by the manifest alone.

    Parameters
    ----------
    traits : Traits
        Of the learner.
    data : PartitionedDataset
    shards : int, default=1
        How many shards it learns from at once.

    Raises
    ------
    ConfigurationError
        ``sparse_not_supported``.
    """
    largest = max(s.rows for s in data.shards) * data.n_features * 4 * shards
    if data.layout == "sparse" and not traits.allows_sparse and largest > _MAX_DENSIFIED_BYTES:
        raise ConfigurationError(
            "sparse_not_supported",
            f"{traits.name} does not accept sparse matrices, and a shard made dense would need "
            f"{largest / 2**20:,.0f} MiB.",
            "Use a learner that accepts sparse input, or make more shards.",
        )
