"""An ensemble of networks, each trained by its own gang, as one classifier."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from pyspark.ml.param import TypeConverters
from pyspark.util import inheritable_thread_target

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.deep.classifier import KerasClassificationModel, KerasClassifier
from sparkml_dist.deep.deep_ensemble_model import (
    DeepEnsembleClassificationModel,
    HasUncertaintyColumns,
)
from sparkml_dist.deep.network_estimator import NetworkEstimator
from sparkml_dist.errors import ConfigurationError, SparkMLDistError
from sparkml_dist.models.classifier import ShardClassifier
from sparkml_dist.params import constructor, param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["DeepEnsembleClassifier"]

_logger = logging.getLogger(__name__)

# Params of the ensemble itself, not of its members.
_OWN = ("modelDir", "overwrite", "resume", "seed", "shardsDir")


class DeepEnsembleClassifier(NetworkEstimator, ShardClassifier, HasUncertaintyColumns):
    """Networks of one builder with different seeds, which predict their mean probability.

    Each member is trained by ``numRanks`` ranks of its own, like a `KerasClassifier`, from other
    initial weights and with the rows in another order. As many are trained at the same time as
    there are slots. Their disagreement measures how certain a prediction is: `transform` adds two
    measures of uncertainty. A fit that was interrupted and is run again with ``resume`` trains only
    the missing members.

    Parameters
    ----------
    builder : str or callable
        As for `KerasClassifier`.
    numMembers : int, default=4
        Number of networks.
    numRanks : int, default=1
        Ranks of each member.
    parallelism : int, optional
        Most members to train at the same time; as many as there are slots for by default.
    shardsPerMember : int, optional
        Number of shards for each member, drawn so that all shards are used equally often; all
        shards by default, which is best if there is time.
    entropyCol, mutualInformationCol : str
        Columns of uncertainty that `transform` adds; an empty name omits a column.

    Notes
    -----
    All other Params are those of `KerasClassifier`. Each member holds out validation rows of its
    own.

    References
    ----------
    Lakshminarayanan, Pritzel, Blundell (2017), "Simple and scalable predictive uncertainty
    estimation using deep ensembles", arXiv:1612.01474.

    Examples
    --------
    >>> ensemble = DeepEnsembleClassifier(builder="mlp", numMembers=5, epochs=20)
    >>> ensemble.getEntropyCol(), ensemble.getMutualInformationCol()
    ('entropy', 'mutualInformation')
    """

    numMembers: Any = param("numMembers", "networks (>= 1)", TypeConverters.toInt)
    parallelism: Any = param(
        "parallelism",
        "most members to train at the same time (>= 1); as slots allow when not set",
        TypeConverters.toInt,
    )
    shardsPerMember: Any = param(
        "shardsPerMember",
        "number of shards for each member (>= 1); all when not set",
        TypeConverters.toInt,
    )

    _model_class: ClassVar[Any] = DeepEnsembleClassificationModel

    @constructor
    def __init__(
        self,
        *,
        numMembers: int = 4,
        parallelism: int | None = None,
        shardsPerMember: int | None = None,
        builder: Any = None,
        numRanks: int = 1,
        epochs: int = 10,
        batchSize: int | None = None,
        inputShape: Sequence[int] | None = None,
        inputs: Any = None,
        validationFraction: float = 0.0,
        stopMetric: str | None = None,
        stopMode: str = "auto",
        patience: int | None = None,
        tol: float = 0.0,
        restoreBest: bool | None = None,
        callbacks: Any = None,
        tensorboard: bool = False,
        compression: str = "none",
        accumulationSteps: int = 1,
        clipNorm: float | None = None,
        fusionMb: float | None = None,
        cycleMs: float | None = None,
        mixedPrecision: str = "none",
        learningRateScaling: str = "none",
        warmupEpochs: float = 0.0,
        transport: str = "auto",
        checkpointEvery: int = 0,
        maxRestarts: int = 2,
        keepCheckpoints: int = 0,
        stallTimeout: float = 600.0,
        silenceTimeout: float = 300.0,
        slotTimeout: float = 600.0,
        entropyCol: str = "entropy",
        mutualInformationCol: str = "mutualInformation",
        featuresCols: Sequence[str] | None = None,
        categoricalCols: Sequence[str] | None = None,
        keyCol: str | None = None,
        featuresCol: str = "features",
        labelCol: str = "label",
        weightCol: str | None = None,
        numShards: int | None = None,
        memoryPerTask: str | None = None,
        shardsDir: str | None = None,
        modelDir: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        predictionCol: str = "prediction",
        seed: int = 0,
        predictedLabelCol: str = "predictedLabel",
        probabilityCol: str = "probability",
        rawPredictionCol: str = "rawPrediction",
    ) -> None: ...

    def _check_params(self, spark: SparkSession) -> None:
        for name in ("numMembers", "parallelism", "shardsPerMember"):
            value = self._value(self.getParam(name))
            if value is not None and value < 1:
                raise ConfigurationError("invalid_param", f"{name} must be >= 1. Got {value}.")
        super()._check_params(spark)

    def _check_data(self, data: PartitionedDataset) -> None:
        super()._check_data(data)
        wanted = self._value(self.shardsPerMember)
        if wanted is not None and wanted > len(data.shards):
            raise ConfigurationError(
                "invalid_param",
                f"shardsPerMember must be at most {len(data.shards)}, the number of shards. "
                f"Got {wanted}.",
                "Partition the data into more shards with numShards.",
            )

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        # Without the number of members: a fit with more of them keeps the existing ones.
        return {**super()._plan(data), "shardsPerMember": self._value(self.shardsPerMember)}

    def _fit_shards(  # type: ignore[override]
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> DeepEnsembleClassificationModel:
        begun = time.perf_counter()
        number = self.getOrDefault(self.numMembers)
        drawn = self._shards(data, number)
        members = self._train_all(spark, data, folder, drawn)
        return DeepEnsembleClassificationModel(
            folder,
            data.schema,
            data.manifest.label,
            [
                ModelFile(f"{_member_folder(k)}/{file.name}", file.bytes, file.sha256)
                for k, member in enumerate(members)
                for file in member.files
            ],
            {
                "members": [
                    {
                        "file": f"{_member_folder(k)}/{member.files[0].name}",
                        "content": member.content,
                    }
                    for k, member in enumerate(members)
                ]
            },
            {
                "members": [
                    {"seed": self._seed(k), "shards": drawn[k], **member.summary}
                    for k, member in enumerate(members)
                ],
                "seconds": {"total": time.perf_counter() - begun},
                "peak_worker_rss_mb": max(m.summary["peak_worker_rss_mb"] for m in members),
            },
        )

    # -- members --------------------------------------------------------------------------

    def _seed(self, member: int) -> int:
        """Return the seed of a member; that of the first is the ensemble's."""
        seed = self.getOrDefault(self.seed)
        if member == 0:
            return int(seed)
        # Sums would give ensembles with consecutive seeds the same members.
        return int(np.random.SeedSequence((seed % 2**32, member)).generate_state(1)[0])

    def _shards(self, data: PartitionedDataset, number: int) -> list[list[int]]:
        """Return the shards of each member, dealt from repeated permutations of all shards."""
        total = len(data.shards)
        wanted = self._value(self.shardsPerMember) or total
        if wanted == total:
            return [list(range(total))] * number
        drawn: list[list[int]] = []
        left: list[int] = []
        rng = np.random.default_rng(self.getOrDefault(self.seed) % 2**32)
        for _ in range(number):
            own, left = left[:wanted], left[wanted:]
            while len(own) < wanted:
                fresh = [int(s) for s in rng.permutation(total) if s not in own]
                own, left = own + fresh[: wanted - len(own)], fresh[wanted - len(own) :]
            drawn.append(sorted(own))
        return drawn

    def _member(self, folder: Folder, member: int) -> KerasClassifier:
        """Return the estimator of a member, which resumes its own fit."""
        estimator = KerasClassifier(
            modelDir=folder.child(_member_folder(member)).location,
            resume=True,
            seed=self._seed(member),
        )
        for declared, value in self.extractParamMap().items():
            if declared.name not in _OWN and estimator.hasParam(declared.name):
                if self.isSet(declared):
                    estimator._set(**{declared.name: value})
                else:
                    estimator._setDefault(**{declared.name: value})
        return estimator

    def _train_all(
        self,
        spark: SparkSession,
        data: PartitionedDataset,
        folder: Folder,
        drawn: list[list[int]],
    ) -> list[KerasClassificationModel]:
        number = len(drawn)
        at_once = self._at_once(spark, number)
        _logger.info("training %d networks, %d at a time", number, at_once)

        def train(member: int) -> KerasClassificationModel:
            shards = tuple(data.shards[s] for s in drawn[member])
            own = replace(data, manifest=replace(data.manifest, shards=shards))
            fitted: Any = self._member(folder, member)._fit_data(spark, own)
            return cast("KerasClassificationModel", fitted)

        # Job descriptions and tags belong to a thread, and the limit of memory to a context: copy
        # those of the calling thread.
        target: Any = inheritable_thread_target(spark)(train)
        with ThreadPoolExecutor(at_once, thread_name_prefix="sparkml_dist-member") as pool:
            runs = [pool.submit(copy_context().run, target, k) for k in range(number)]
            wait(runs, return_when=FIRST_EXCEPTION)
            for run in runs:
                run.cancel()
        _raise_first(runs, folder)
        return [run.result() for run in runs]

    def _at_once(self, spark: SparkSession, number: int) -> int:
        ranks = self.getOrDefault(self.numRanks)
        slots = SessionInfo.of(spark).slots or ranks
        allowed = self._value(self.parallelism) or number
        return max(1, min(number, allowed, slots // ranks))


def _member_folder(member: int) -> str:
    return f"members/{member:03d}"


def _raise_first(runs: list[Future[KerasClassificationModel]], folder: Folder) -> None:
    """Raise the error of the first failed member, with its number."""
    failed = [(k, r.exception()) for k, r in enumerate(runs) if not r.cancelled()]
    member, error = next(((k, e) for k, e in failed if e is not None), (0, None))
    if error is None:
        return
    if not isinstance(error, SparkMLDistError):
        raise error
    done = sum(e is None for _, e in failed)
    kept = f" {done} are trained and stay in {folder.location!r}." if done else ""
    raise type(error)(
        error.code, f"Member {member} of {len(runs)}: {error.message}{kept}", error.hint
    ) from error
