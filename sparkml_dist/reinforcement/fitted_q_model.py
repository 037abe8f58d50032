"""The policy of fitted Q iteration: regressors of the values of actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.dataset.sizing import DEFAULT_MEMORY_PER_TASK
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.models.loading import Saved
from sparkml_dist.onnx.export import ExportsOnnx
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.reinforcement.action_values import ActionValues, LoadedValues, members_of
from sparkml_dist.reinforcement.policy import LocalPolicy
from sparkml_dist.reinforcement.policy_model import PolicyModel
from sparkml_dist.reinforcement.policy_onnx import PolicyScorer, one_hot_of_best
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from sparkml_dist.onnx.graph import OnnxGraph

__all__ = ["FittedQModel", "FittedQPolicy"]


class FittedQPolicy(LocalPolicy):
    """The policy that takes the action of the highest value, in memory.

    Parameters
    ----------
    values : ActionValues
        The regressors; a copy in another process reads their files again.
    actions : tuple
    """

    def __init__(self, values: ActionValues, actions: tuple[Any, ...]) -> None:
        self._values, self.actions = values, actions

    @cached_property
    def _loaded(self) -> LoadedValues:
        return self._values.load()

    def q_values(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the value of each action, shape (n, n_actions); NaN where it is not known."""
        return self._loaded.q_values(states)

    def __getstate__(self) -> dict[str, Any]:
        return {"_values": self._values, "actions": self.actions}


class FittedQModel(ExportsOnnx, PolicyModel):
    """The greedy policy of `FittedQIteration`; see `PolicyModel`.

    Attributes
    ----------
    folder : Folder
        Folder of the regressors' files.
    summary : dict
        ``iterations``, ``residuals`` (of each iteration, on held-out episodes), ``rows``.
    """

    def __init__(
        self,
        folder: Folder,
        schema: FeatureSchema,
        label: Label,
        files: Sequence[ModelFile],
        content: dict[str, Any],
        summary: dict[str, Any],
    ) -> None:
        super().__init__(schema, label, summary)
        self.folder = folder
        self.files = tuple(files)
        self.content = content

    def _values(self) -> ActionValues:
        return ActionValues(
            self.folder.child(self.content["home"]),
            members_of(self.content["members"]),
            len(self.actions),
            tuple(self.schema.feature_names),
            self.trusted,
        )

    def to_local(self) -> FittedQPolicy:
        """Return the policy in memory; it reads the regressors' files when it is first used."""
        return FittedQPolicy(self._values(), self.actions)

    def _loader(self) -> tuple[Callable[[], LocalPolicy], str]:
        memory = parse_size(DEFAULT_MEMORY_PER_TASK, "memoryPerTask") // 2
        values = replace(self._values(), memory=memory)
        policy = FittedQPolicy(values, self.actions)
        return (lambda: policy), f"fitted-q/{values.cache_key}"

    def _scorer(self) -> FittedQScorer:
        return FittedQScorer(self.to_local())

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "content": self.content}

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        for file in self.files:
            self.folder.copy_file_to(file.name, folder)
        return self.files

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        state = saved.state
        content = dict(state["content"])
        for record in content["members"]:
            saved.listed(f"{content['home']}/{record['file']}")
        model = cls(
            saved.folder,
            FeatureSchema.from_dict(state["features"]),
            Label.from_dict(state["label"]),
            saved.files,
            content,
            dict(state["summary"]),
        )
        model.trusted = saved.trusted
        return model

    def _check_restored(self) -> None:
        self._values()


@dataclass(frozen=True)
class FittedQScorer(PolicyScorer):
    """The policy as a scorer that can be exported to ONNX."""

    policy: FittedQPolicy

    def onnx_combine(self, graph: OnnxGraph) -> str:
        """Add the policy to a graph; return the name of its probabilities.

        Raises
        ------
        ConfigurationError
            ``onnx_not_supported`` where one regressor gets the action among its features.
        """
        from sparkml_dist.members.bank import MemberBank
        from sparkml_dist.members.onnx_members import MemberGraphs

        values = self.policy._values
        members = tuple(m.member for m in values.members)
        bank = MemberBank(values.folder, members, 0, values.feature_names, values.trusted)
        graphs, found = MemberGraphs(graph, bank), []
        for code in range(values.n_actions):
            names = [graphs.values(i) for i, m in enumerate(values.members) if m.action == code]
            if not names:
                raise ConfigurationError(
                    "onnx_not_supported",
                    "A regressor that gets the action among its features has no form in ONNX.",
                    "Fit with perAction=True, on a log that has every action.",
                )
            mean = graph.node("Mean", names) if len(names) > 1 else names[0]
            found.append(graph.node("Reshape", [mean, graph.constant([-1, 1], "int64")]))
        values_of = graph.node("Concat", found, axis=1)
        return one_hot_of_best(graph, values_of, values.n_actions)
