"""The fitted policy of `DeepQLearning`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.column_names import check_outputs, with_outputs
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.deep.input.inputs import InputSpec
from sparkml_dist.deep.network_model import NETWORK_PACKAGES
from sparkml_dist.deep.scoring.scorer import load_network
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.scoring import check_feature_columns, loaded
from sparkml_dist.onnx.export import ExportsOnnx
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.reinforcement.deep_policy import DeepPolicy, PolicyNetwork
from sparkml_dist.reinforcement.networks.spec import ALGORITHMS
from sparkml_dist.reinforcement.policy_model import PolicyModel
from sparkml_dist.reinforcement.policy_onnx import PolicyScorer, one_hot_of_best
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.onnx.graph import OnnxGraph

__all__ = ["DeepPolicyModel"]

_MADE = "_sparkml_dist_policy"
_ROWS_AT_ONCE = 8192


class DeepPolicyModel(ExportsOnnx, PolicyModel):
    """The policy of `DeepQLearning`, a network in a ``.keras`` file; see `PolicyModel`.

    Where actions are numbers, ``transform`` adds `chosenActionCol`, an array of doubles in the
    order of the log's action columns, and `qValuesCol`, the value of this action as a vector of
    length one.

    Attributes
    ----------
    folder : Folder
        Folder of the network's file.
    summary : dict
        ``rows``, ``steps`` of an epoch, ``parameters``, ``seconds`` by phase, ``ranks``,
        ``history``.
    """

    _packages = NETWORK_PACKAGES

    def __init__(
        self,
        folder: Folder,
        schema: FeatureSchema,
        label: Label | None,
        files: Sequence[ModelFile],
        content: dict[str, Any],
        summary: dict[str, Any],
    ) -> None:
        super().__init__(schema, label, summary)  # type: ignore[arg-type]
        self.folder = folder
        self.files = tuple(files)
        self.content = content

    @property
    def continuous(self) -> bool:
        """Whether actions are numbers."""
        return self.label is None

    @property
    def actions(self) -> tuple[Any, ...]:
        """The list of actions; empty where they are numbers."""
        return () if self.continuous else self.label.classes

    @property
    def history(self) -> dict[str, list[Any]]:
        """``loss`` and its terms, of every epoch."""
        return dict(self.summary["history"])

    def to_local(self) -> DeepPolicy:
        """Return the policy in memory; it loads the network when it is first used."""
        content = self.content
        return DeepPolicy(self._network(), self.actions, content["algorithm"], content["threshold"])

    def to_keras(self) -> Any:
        """Return the network as a Keras model, loaded into this process.

        It takes states, (n, n_state), and returns a list of ``content["outputs"]``: values of
        actions, logits of the policy, or actions that are numbers.

        Raises
        ------
        StorageError
            ``file_altered`` or ``network_not_loaded``.
        """
        file = self.files[0]
        return load_network(self.folder, file.name, file.sha256)

    def _network(self) -> PolicyNetwork:
        file, inputs = self.files[0], InputSpec.single(self.schema.n_features)
        outputs = tuple(self.content["outputs"])
        return PolicyNetwork(self.folder, file.name, file.sha256, inputs, outputs)

    def _loader(self) -> tuple[Callable[[], DeepPolicy], str]:
        policy = self.to_local()
        return (lambda: policy), f"deep-policy/{self.files[0].sha256}/{policy.threshold}"

    def _scorer(self) -> DeepPolicyScorer:
        if self.continuous:
            raise ConfigurationError(
                "onnx_not_supported",
                "The graphs that are exported predict one of a list of actions.",
                "model.to_keras() returns the network itself.",
            )
        return DeepPolicyScorer(self.to_local())

    def _transform(self, dataset: DataFrame) -> DataFrame:
        if not self.continuous:
            return super()._transform(dataset)
        from pyspark.ml.functions import array_to_vector
        from pyspark.sql import functions as F

        check_feature_columns(dataset, self.schema)
        schema = self.schema
        load, key = self._loader()
        cores, carried = SessionInfo.of(dataset.sparkSession).task_cpus, schema.n_transported

        def choose(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
            policy = loaded(key, load)
            with limit_threads(cores):
                for batch in joined_batches(batches, _ROWS_AT_ONCE):
                    states: Any = schema.encode([batch.field(i) for i in range(carried)])
                    values, actions = policy.decide(states)
                    arrays = [_lists(values), _lists(actions)]
                    yield pa.StructArray.from_arrays(arrays, ["values", "action"])

        made = iterator_udf(choose, "values: array<double>, action: array<double>")
        column = F.col(_MADE)
        outputs = {
            self.getOrDefault(self.qValuesCol): array_to_vector(column["values"]),
            self.getOrDefault(self.chosenActionCol): column["action"],
        }
        outputs.pop("", None)
        check_outputs(dataset, list(outputs))
        with_made = dataset.select("*", made(F.struct(*schema.transport())).alias(_MADE))
        return with_outputs(with_made, outputs, temporary=[_MADE])

    # -- saving and loading ---------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        return {
            "features": self.schema.to_dict(),
            "label": None if self.continuous else self.label.to_dict(),
            "summary": self.summary,
            "content": self.content,
        }

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        for file in self.files:
            self.folder.copy_file_to(file.name, folder)
        return self.files

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        state = saved.state
        label, content = state["label"], dict(state["content"])
        if content["algorithm"] not in ALGORITHMS or not 0 < float(content["threshold"]) < 1:
            raise ValueError(f"{content!r} describes no policy")
        return cls(
            saved.folder,
            FeatureSchema.from_dict(state["features"]),
            None if label is None else Label.from_dict(label),
            saved.files,
            content,
            dict(state["summary"]),
        )

    def _check_restored(self) -> None:
        self._network()

    def __repr__(self) -> str:
        columns = self.content["action_columns"]
        what = f"{len(columns):,} numbers" if self.continuous else f"{len(self.actions):,} actions"
        algorithm = self.content["algorithm"]
        return f"DeepPolicyModel({algorithm}, {self.numFeatures:,} state features, {what})"


@dataclass(frozen=True)
class DeepPolicyScorer(PolicyScorer):
    """The policy as a scorer that can be exported to ONNX."""

    policy: DeepPolicy

    def onnx_combine(self, graph: OnnxGraph) -> str:
        """Add the policy to a graph; return the name of its probabilities."""
        from sparkml_dist.deep.scoring.onnx import add_network

        policy = self.policy
        network = policy.network.network()
        import keras

        names = {
            name: add_network(
                graph, keras.Model(network.inputs, output), policy.network.inputs, f"{name}_"
            )
            for name, output in zip(policy.network.outputs, network.outputs, strict=True)
        }
        n_actions = len(policy.actions)
        if "logits" not in names:
            return one_hot_of_best(graph, names["values"], n_actions)
        if policy.algorithm != "bcq":
            return graph.node("Softmax", [names["logits"]], axis=1)
        axis = graph.constant([1], "int64")
        likeliest = graph.node("ReduceMax", [names["logits"], axis], keepdims=1)
        relative = graph.node("Sub", [names["logits"], likeliest])
        unlikely = graph.node(
            "Less", [relative, graph.constant(np.log(policy.threshold), "float32")]
        )
        least = graph.constant(-np.inf, "float32")
        masked = graph.node("Where", [unlikely, least, names["values"]])
        return one_hot_of_best(graph, masked, n_actions)


def _lists(matrix: Any) -> pa.Array:
    values = np.ascontiguousarray(matrix, np.float64)
    rows, width = values.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel()))
