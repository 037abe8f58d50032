"""Ensemble selection over shards: votes with those members of a library that do well together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.sizing import DEFAULT_MEMORY_PER_TASK
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.ensemble.ensemble import EnsembleClassifier, fit_totals
from sparkml_dist.ensemble.voting.row_subsets import check_fraction, with_held_out
from sparkml_dist.ensemble.voting.voting import NamedLearners
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.fitting import MEMBERS
from sparkml_dist.members.engine import Engine
from sparkml_dist.members.greedy import Selection, select
from sparkml_dist.members.held_out import HELD_OUT, HeldOut, write_held_out
from sparkml_dist.members.member import MemberPlan
from sparkml_dist.members.voting_model import VotingClassificationModel
from sparkml_dist.metrics.scores import check_score
from sparkml_dist.params import constructor, param
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["EnsembleSelectionClassifier"]

_RESULT = "selection.json"


class EnsembleSelectionClassifier(NamedLearners, EnsembleClassifier):
    """A vote of those members of a library that do well together.

    The library holds a member for every learner and every group of shards, fitted without some
    validation rows. The members' outputs on these rows are written beside the shards. One task
    starts with the best members and repeatedly adds the member that improves the vote most. A
    member may be added several times; that number is its weight. Members without weight are
    deleted.

    Parameters
    ----------
    estimators : list of (str, scikit-learn classifier)
        The library's learners with their names: of many kinds and settings.
    stopMetric : {"log_loss", "accuracy", "auc"}, default="log_loss"
        Score of the vote on validation rows to optimise.
    numMembers : int, default=50
        Largest number of members of the vote in each bag, counted with repetition.
    initialMembers : int, default=5
        Number of best members that the vote starts with.
    numBags : int, default=1
        Number of selections, each from another random part of the library; the votes are added
        up. More bags reduce overfitting to the validation rows.
    bagFraction : float, default=0.5
        Share of the library in that part, if there is more than one bag.
    validationFraction : float, default=0.1
        Share of the rows held out from members. If the members' outputs on them do not fit into
        ``memoryPerTask``, only a part of the rows is used, by hashed key.
    shardsPerMember : int, default=1
    memoryPerTask : str, default="512m"
    seed, featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol, predictionCol, \
probabilityCol, rawPredictionCol, predictedLabelCol, numShards, shardsDir, modelDir, overwrite, \
resume, trustedTypes
        As for `BaggingClassifier`.

    References
    ----------
    Caruana, Niculescu-Mizil, Crew, Ksikes (2004), "Ensemble selection from libraries of models".
    Caruana, Munson, Niculescu-Mizil (2006), "Getting the most out of ensemble selection".

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> library = [(f"tree{d}", DecisionTreeClassifier(max_depth=d)) for d in (2, 4, 8, 16)]
    >>> selection = EnsembleSelectionClassifier(estimators=library)
    >>> [name for name, _ in selection.getEstimators()]
    ['tree2', 'tree4', 'tree8', 'tree16']
    """

    stopMetric: Any = param(
        "stopMetric",
        "score of the vote on validation rows to optimise: 'log_loss', 'accuracy', 'auc'",
        TypeConverters.toString,
    )
    numMembers: Any = param(
        "numMembers", "members of the vote with repetition, at most (>= 1)", TypeConverters.toInt
    )
    initialMembers: Any = param(
        "initialMembers", "best members that the vote starts with (>= 0)", TypeConverters.toInt
    )
    numBags: Any = param("numBags", "number of selections (>= 1)", TypeConverters.toInt)
    bagFraction: Any = param(
        "bagFraction", "share of the library that a bag selects from", TypeConverters.toFloat
    )
    validationFraction: Any = param(
        "validationFraction", "share of rows held out from members", TypeConverters.toFloat
    )

    _model_class = VotingClassificationModel

    @constructor
    def __init__(
        self,
        *,
        stopMetric: str = "log_loss",
        numMembers: int = 50,
        initialMembers: int = 5,
        numBags: int = 1,
        bagFraction: float = 0.5,
        validationFraction: float = 0.1,
        estimators: Any = None,
        voting: str = "soft",
        shardsPerMember: int = 1,
        trustedTypes: Sequence[str] = (),
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

    def _voting(self) -> str:
        return "soft"

    def _validation(self) -> Validation:
        return Validation(self.getOrDefault(self.validationFraction), self.getOrDefault(self.seed))

    def _memory(self) -> int:
        return parse_size(self._value(self.memoryPerTask) or DEFAULT_MEMORY_PER_TASK)

    def _selection(self) -> Selection:
        return Selection(
            self.getOrDefault(self.stopMetric),
            self.getOrDefault(self.numMembers),
            self.getOrDefault(self.initialMembers),
            self.getOrDefault(self.numBags),
            self.getOrDefault(self.bagFraction),
            self.getOrDefault(self.seed),
        )

    def _check_params(self, spark: SparkSession) -> None:
        check_score(self.getOrDefault(self.stopMetric), "stopMetric", regression=False)
        for name, least in (("numMembers", 1), ("initialMembers", 0), ("numBags", 1)):
            value = self.getOrDefault(self.getParam(name))
            if value < least:
                raise ConfigurationError(
                    "invalid_param", f"{name} must be >= {least}. Got {value}."
                )
        share = self.getOrDefault(self.bagFraction)
        if not 0 < share <= 1:
            raise ConfigurationError(
                "invalid_param", f"bagFraction must be in (0, 1]. Got {share}."
            )
        check_fraction(self.getOrDefault(self.validationFraction))
        self._memory()
        super()._check_params(spark)

    def _member_plans(self, data: PartitionedDataset) -> list[MemberPlan]:
        return with_held_out(super()._member_plans(data), self._validation())

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        return super()._plan(data) | {
            "selection": repr(self._selection()),
            "memoryPerTask": self._memory(),
        }

    def _fit_members(self, engine: Engine) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Fit the library, or only the selected members if they are known already."""
        if engine.folder.exists(_RESULT):
            counts = engine.folder.read_json(_RESULT)["counts"]
            return engine.fit([m for m, n in enumerate(counts) if n]), {}
        records = engine.fit()
        home = engine.folder.child(HELD_OUT)
        bank = engine.bank(records)
        held_out = HeldOut.of(engine.data, home, bank, self._validation(), self._memory())
        _, predicting = write_held_out(engine.spark, held_out)
        task = _Selecting(held_out, self._selection())
        outcome = run_tasks(engine.spark, [0], task, description="select members")[0]
        if outcome.error:
            raise outcome.error
        engine.folder.write_json(_RESULT, outcome.result)
        counts = outcome.result["counts"]
        chosen = [records[m] for m, n in enumerate(counts) if n]
        return chosen, fit_totals(records, predicting)

    def _after_fit(self, spark: SparkSession, data: PartitionedDataset, model: Any) -> None:
        result = model.folder.read_json(_RESULT)
        counts = result["counts"]
        for member, n in zip(model.content["members"], [n for n in counts if n], strict=True):
            member["weight"] = float(n)
        plans = self._member_plans(data)
        names = self._names()
        model.summary["selection"] = {
            "metric": self.getOrDefault(self.stopMetric),
            "rows": result["rows"],
            "library": len(counts),
            "curves": result["curves"],
            "chosen": [
                {"name": names[plans[m].learner], "shards": list(plans[m].shards), "count": n}
                for m, n in enumerate(counts)
                if n
            ],
        }
        members = model.folder.child(MEMBERS)
        for m, n in enumerate(counts):
            for suffix in (".json", ".skops") if not n else ():
                members.delete_file(plans[m].stem + suffix)
        model.folder.child(HELD_OUT).delete()


@dataclass(frozen=True)
class _Selecting:
    """Selects members, in one task."""

    held_out: HeldOut
    selection: Selection

    def __call__(self, _: int) -> dict[str, Any]:
        rows = self.held_out.read()
        counts, curves = select(rows, self.selection)
        return {"counts": counts, "curves": curves, "rows": len(rows.y)}
