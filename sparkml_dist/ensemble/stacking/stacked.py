"""Two-level ensembles: a final estimator learns from base learners' held-out predictions."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.sizing import DEFAULT_MEMORY_PER_TASK
from sparkml_dist.dataset.subsets import Subset
from sparkml_dist.ensemble.ensemble import fit_totals, member_summary
from sparkml_dist.ensemble.stacking.level_one import (
    LevelOneWriting,
    Part,
    meta_groups,
    write_level_one,
)
from sparkml_dist.ensemble.stacking.level_one_columns import LevelOneColumns, check_names
from sparkml_dist.ensemble.stacking.model import LEVEL_ONE, META
from sparkml_dist.ensemble.stacking.spark_bases import SparkBases
from sparkml_dist.ensemble.stacking.spark_stage import (
    describe,
    is_stage,
    refuse_stage,
    save_stages,
    stored_stages,
)
from sparkml_dist.ensemble.voting.row_subsets import with_held_out
from sparkml_dist.ensemble.voting.voting import NamedLearners
from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.learners.dry_fit import Candidate
from sparkml_dist.learners.fitting import MEMBERS
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.learners.learner import Traits, refuse_unusable
from sparkml_dist.members.combiner import Combiner, Voting
from sparkml_dist.members.engine import Engine, member_files
from sparkml_dist.members.ensemble_model import voting_content
from sparkml_dist.members.learner_params import check_learner, learner_plan
from sparkml_dist.members.member import MemberPlan
from sparkml_dist.members.sampling import Sampling
from sparkml_dist.models.grid_value import GridValue
from sparkml_dist.models.loading import Saved
from sparkml_dist.params import param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import dump_learner, load_learner
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.persistence.names import check_inside
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Stacked"]

_logger = logging.getLogger(__name__)

_COMPLETE = "complete.json"
_FINAL = "final/final.skops"


class Stacked(NamedLearners):
    """Base of stacking and blending."""

    finalEstimator: Any = param("finalEstimator", "scikit-learn learner of level one", GridValue.of)
    passthrough: Any = param(
        "passthrough",
        "whether the final estimator also gets the original features",
        TypeConverters.toBoolean,
    )
    keepLevelOne: Any = param(
        "keepLevelOne",
        "whether to keep the level-one data in the model's folder",
        TypeConverters.toBoolean,
    )

    _object_params: ClassVar[tuple[str, ...]] = ("estimators", "finalEstimator")

    #: Whether base learners are fitted again, on all rows, after level one is written.
    _refits: ClassVar[bool]

    @abstractmethod
    def _parts(self) -> list[Subset]:
        """Return the subsets of rows that are held out from the base learners, in turn."""

    @abstractmethod
    def _default_final(self) -> Any:
        """Return the default final estimator."""

    def _named(self) -> list[tuple[str, Any]]:
        super()._learners()  # raises if there are none
        return list(self.getOrDefault(self.estimators))

    def _learners(self) -> list[Any]:
        return [learner for _, learner in self._named() if not is_stage(learner)]

    def _stages(self) -> dict[str, Any]:
        return {name: stage for name, stage in self._named() if is_stage(stage)}

    def _final_learner(self) -> Any:
        given = self._value(self.finalEstimator)
        return self._default_final() if given is None else given

    def _voting_of(self, learner: Any) -> Voting:
        """Return how the members of one learner are combined."""
        if self._task == "regression":
            return "mean"
        return "soft" if Traits.of(learner).probabilistic else "hard"

    # -- before the first job -------------------------------------------------------------

    def _voting(self) -> str:
        # A learner without probabilities is allowed: its votes become level-one features.
        return "mean" if self._task == "regression" else "hard"

    def _memory(self) -> int:
        return parse_size(self._value(self.memoryPerTask) or DEFAULT_MEMORY_PER_TASK)

    def _check_params(self, spark: SparkSession) -> None:
        super()._check_params(spark)
        check_names(self._names())
        for name in self._stages():
            _check_folder_name(name)
        for name, stage in self._stages().items():
            refuse_stage(name, stage, regression=self._task == "regression")
        self._memory()
        try:
            refuse_unusable(self._final_learner(), voting="hard", task=self._task)
        except ConfigurationError as error:
            message = error.message.replace("estimator must", "finalEstimator must", 1)
            raise ConfigurationError(error.code, message, error.hint) from error

    def _check_data(self, data: PartitionedDataset) -> None:
        self._columns(data).check()
        super()._check_data(data)

    def _candidates(self, data: PartitionedDataset) -> list[Candidate]:
        """Include the final estimator, with artificial outputs of the base learners."""
        columns = self._columns(data)
        final = KnownLearner.of(
            self._final_learner(), columns.schema(), data.manifest.label.classes
        )
        last = Candidate(final, columns.n_outputs, self.getOrDefault(self.passthrough))
        return [*super()._candidates(data), last]

    def _columns(self, data: PartitionedDataset) -> LevelOneColumns:
        return LevelOneColumns(
            tuple(self._names()),
            data.schema,
            data.manifest.label.classes,
            self.getOrDefault(self.passthrough),
        )

    def _member_plans(self, data: PartitionedDataset) -> list[MemberPlan]:
        """Plan first the base learners that the model keeps, then those of each part."""
        whole = super()._member_plans(data)
        rounds: list[Subset | None] = [*([None] if self._refits else []), *self._parts()]
        plans = [plan for without in rounds for plan in with_held_out(whole, without)]
        return [replace(plan, index=i) for i, plan in enumerate(plans)]

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        return super()._plan(data) | {
            "names": self._names(),
            "stages": {name: describe(stage) for name, stage in self._stages().items()},
            "finalEstimator": learner_plan(self._final_learner()),
            "passthrough": self.getOrDefault(self.passthrough),
            "memoryPerTask": self._memory(),
        }

    # -- fitting --------------------------------------------------------------------------

    def _fit_shards(self, spark: SparkSession, data: PartitionedDataset, folder: Folder) -> Any:
        start = time.perf_counter()
        plans = self._member_plans(data)
        engine = Engine(
            spark,
            data,
            folder,
            self._known(data)[:-1],
            plans,
            self.getOrDefault(self.seed),
            self._trusted(),
        )
        stages = SparkBases(
            spark, data, folder, self._stages(), self._parts(), self._refits, engine.trusted
        )
        kept = len(plans) // (len(self._parts()) + self._refits)
        meta = folder.child(META)
        complete = self._complete(folder)
        records = engine.fit(range(kept) if complete else None)
        stages.fit(level_one=not complete)
        fitted, predicting = records, 0.0
        if not complete:
            finals, predicting = self._fit_final(engine, stages, records)
            fitted = [*records, *finals]
            records = records[:kept]
        found = meta.read_json(_COMPLETE)
        final = found["members"]
        self._clear(folder, range(kept, len(plans)))
        stages.clear()
        content = {
            "bases": self._base_contents(stages, records),
            "passthrough": self.getOrDefault(self.passthrough),
            "final": voting_content(
                final, [1.0] * len(final), self._voting_of(self._final_learner())
            ),
            "level_one": self.getOrDefault(self.keepLevelOne),
        }
        files = member_files(folder, records) + stages.files()
        files += [replace(f, name=f"{META}/{f.name}") for f in member_files(meta, final)]
        if self.getOrDefault(self.keepLevelOne):
            names = [f"{LEVEL_ONE}/{name}" for name in folder.child(LEVEL_ONE).walk()]
            files += [ModelFile.of(folder, n) for n in names]
        summary = (
            member_summary([*records, *final])
            | fit_totals(fitted, predicting)
            | {
                "fitted_now": engine.fitted + stages.fitted,
                "level_one": found["level_one"],
            }
        )
        summary["seconds"]["fit"] = round(time.perf_counter() - start, 3)
        model = self._model_class(folder, data.schema, data.manifest.label, files, content, summary)
        model.trusted = self._trusted()
        return model

    def _fit_final(
        self, engine: Engine, stages: SparkBases, records: list[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], float]:
        """Write level one, fit the final estimator on it, and commit it when complete.

        Returns the records of its members, and the seconds that base learners took to predict.
        """
        parts, memory = self._parts(), self._memory()
        size = len(records) // (len(parts) + self._refits)
        first = size if self._refits else 0
        rounds = [
            Part(part, self._bases(engine, records[first + i * size : first + (i + 1) * size]))
            for i, part in enumerate(parts)
        ]
        writing = LevelOneWriting(
            engine.data,
            engine.folder.child(LEVEL_ONE),
            self._columns(engine.data),
            tuple(rounds),
            {i: stages.outputs(n) for i, n in enumerate(self._names()) if n in stages.stages},
            memory,
        )
        level_one, predicting = write_level_one(engine.spark, writing)
        learner = self._known(engine.data)[-1]
        check_learner(learner.traits, level_one)
        groups = meta_groups(level_one.shards, memory)
        all_rows = Sampling.of("pasting")
        final = Engine(
            engine.spark,
            level_one,
            engine.folder.child(META),
            [learner],
            [MemberPlan(i, 0, group, all_rows) for i, group in enumerate(groups)],
            engine.seed,
            engine.trusted,
        )
        members = final.fit()
        engine.fitted += final.fitted
        about = {"rows": level_one.n_rows, "features": level_one.feature_names}
        final.folder.write_json(
            _COMPLETE, {"members": members, "level_one": about | {"groups": groups}}
        )
        return members, predicting

    def _bases(self, engine: Engine, records: list[dict[str, Any]]) -> tuple[Combiner | None, ...]:
        """Return the scorers of the base learners' members."""
        return tuple(
            None if own is None else Combiner(engine.bank(own), self._voting_of(learner))
            for _, learner, own in self._by_base(records)
        )

    def _base_contents(
        self, stages: SparkBases, records: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        contents: list[dict[str, Any]] = []
        for name, learner, own in self._by_base(records):
            if own is None:
                contents.append({"name": name, "stage": stages.content(name)})
            else:
                voting = voting_content(own, [1.0] * len(own), self._voting_of(learner))
                contents.append({"name": name} | voting)
        return contents

    def _by_base(self, records: list[dict[str, Any]]) -> list[tuple[str, Any, Any]]:
        """Return name, learner and records of members (None for a Spark ML stage) of each base."""
        found: list[tuple[str, Any, Any]] = []
        k = 0
        for name, learner in self._named():
            if is_stage(learner):
                found.append((name, learner, None))
                continue
            found.append((name, learner, [r for r in records if r["learner_index"] == k]))
            k += 1
        return found

    def _complete(self, folder: Folder) -> bool:
        """Return whether an earlier fit committed the final estimator."""
        meta = folder.child(META)
        if not meta.exists(_COMPLETE):
            return False
        members = meta.read_json(_COMPLETE)["members"]
        there = all(meta.size(m["file"]) == m["bytes"] for m in members)
        wanted = self.getOrDefault(self.keepLevelOne)
        return there and (not wanted or folder.child(LEVEL_ONE).exists("manifest.json"))

    def _clear(self, folder: Folder, passing: range) -> None:
        """Delete what only level one needed."""
        if not self.getOrDefault(self.keepLevelOne):
            folder.child(LEVEL_ONE).delete()
        for index in passing:
            for suffix in (".json", ".skops"):
                folder.child(MEMBERS).delete_file(f"member-{index:05d}{suffix}")

    # -- saving and loading -------------------------------------------------------------------

    def _save_object(self, folder: Folder, name: str) -> None:
        if name == "estimators":
            super()._save_object(folder, name)
            save_stages(folder, self._stages())
            return
        content = dump_learner(self.getOrDefault(self.finalEstimator), trusted=self._trusted())
        folder.write_bytes(_FINAL, content)

    def _load_object(self, saved: Saved, name: str) -> None:
        if name == "estimators" and saved.has("names.json"):
            learners = iter(self._stored_learners(saved))
            names = saved.read_json("names.json")
            stages = stored_stages(saved, names)
            self._set(estimators=[(n, stages.get(n) or next(learners)) for n in names])
        elif name == "finalEstimator" and saved.has(_FINAL):
            content = saved.read_bytes(_FINAL)
            learner = load_learner(content, saved.folder.uri(_FINAL), trusted=saved.trusted)
            self._set(finalEstimator=learner)


def _check_folder_name(name: str) -> None:
    """Raise if the name of a Spark ML base cannot be part of a folder's name."""
    try:
        check_inside(f"spark-{name}", Folder.at("/"))
    except StorageError as error:
        raise ConfigurationError(
            "invalid_param",
            f"The name {name!r} of a Spark ML base cannot be part of a folder's name.",
            "Use letters, digits, '-' and '_'.",
        ) from error
