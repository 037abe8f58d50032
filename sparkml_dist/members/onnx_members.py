"""The members of a model as subgraphs of an ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.booster_learner import BoosterLearner
from sparkml_dist.learners.boosters import booster_package, last_step
from sparkml_dist.learners.learner import Traits
from sparkml_dist.learners.named_learner import NamedLearner
from sparkml_dist.members.bank import MemberBank
from sparkml_dist.onnx.boosters import catboost_graph, refuse_booster, register_converters
from sparkml_dist.onnx.graph import OPSETS, OnnxGraph, require
from sparkml_dist.onnx.trees import is_boosted, is_tree, tree_outputs

__all__ = ["MemberGraphs"]


class MemberGraphs:
    """Adds members to a graph, each on request.

    Parameters
    ----------
    graph : OnnxGraph
    bank : MemberBank
    """

    def __init__(self, graph: OnnxGraph, bank: MemberBank) -> None:
        self.graph = graph
        self.bank = bank

    def __len__(self) -> int:
        return len(self.bank.members)

    def probabilities(self, member: int) -> str:
        """Add a classifier; return the name of its probabilities, float32 (N, n_classes).

        Classes that it did not see have probability zero.
        """
        return self._add(member, "predict_proba")

    def codes(self, member: int) -> str:
        """Add a classifier; return the name of the codes that it predicts, int64 (N,)."""
        return self._add(member, "predict")

    def values(self, member: int) -> str:
        """Add a regressor; return the name of its predictions, float32 (N, 1)."""
        return self._add(member, "predict")

    def columns(self, member: int) -> str:
        """Add a list of regressors; return the name of their predictions, float32 (N, k)."""
        learners = self.bank.learner(member)
        parts = [
            self._add(member, "predict", learner, f"m{member}_{k}_")
            for k, learner in enumerate(learners)
        ]
        return parts[0] if len(parts) == 1 else self.graph.node("Concat", parts, axis=1)

    def _add(self, member: int, method: str, learner: Any = None, prefix: str | None = None) -> str:
        learner = self.bank.learner(member) if learner is None else learner
        prefix = f"m{member}_" if prefix is None else prefix
        stored = self.bank.members[member]
        try:
            if type(learner).__module__ == "sklearn.dummy":
                return self._constant(learner, method)
            if is_tree(learner):
                return self._trees(learner, stored.features, method)
            if isinstance(_unnamed(learner), BoosterLearner):
                return self._booster(learner, stored.features, method, prefix)
            return self._converted(learner, stored.features, method, prefix)
        except ConfigurationError:
            raise
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ConfigurationError(
                "onnx_not_supported",
                f"Member {member} ({stored.file}), a {Traits.of(learner).name}, cannot be "
                f"converted to ONNX: {reason}",
                "See skl2onnx.supported_converters(), or use model.to_sklearn() instead.",
            ) from error

    # -- kinds of learners ----------------------------------------------------------------

    def _constant(self, learner: Any, method: str) -> str:
        """Add a dummy estimator: its output is the same for every row."""
        if getattr(learner, "strategy", "") in ("stratified", "uniform"):
            raise ValueError(f"its strategy {learner.strategy!r} is random")
        graph = self.graph
        output = np.asarray(getattr(learner, method)(np.zeros((1, 1))))
        if not self.bank.n_classes:
            shape = graph.node("Concat", [graph.rows(), graph.constant([1])], axis=0)
            output = output.reshape(1, 1).astype(np.float32)
        elif method == "predict":
            shape, output = graph.rows(), output.astype(np.int64)
        else:
            full = np.zeros((1, self.bank.n_classes), np.float32)
            full[:, _codes(learner)] = output
            shape = graph.node("Concat", [graph.rows(), graph.constant([full.shape[1]])], axis=0)
            output = full
        return graph.node("Expand", [graph.constant(output), shape])

    def _trees(self, learner: Any, features: Sequence[int] | None, method: str) -> str:
        graph, n_classes = self.graph, self.bank.n_classes
        if not n_classes:
            total = tree_outputs(graph, learner, features, [0], 1)
            if not is_boosted(learner):
                return total
            return self._inverse_link(learner, total)
        codes = _codes(learner)
        if is_boosted(learner):
            if getattr(learner, "_preprocessor", None) is not None:
                raise ValueError("it splits by categories, which ONNX trees do not support")
            width = 1 if len(codes) == 2 else len(codes)
            raw = tree_outputs(graph, learner, features, range(width), width)
            found = self._padded(self.probabilities_of(raw, width), codes)
        else:
            found = tree_outputs(graph, learner, features, codes, n_classes)
        if method == "predict":
            return graph.node("ArgMax", [found], axis=1, keepdims=0)
        return found

    def probabilities_of(self, raw: str, width: int) -> str:
        """Add the inverse link of the log loss: from scores (N, width) to probabilities.

        With two classes, there is one column of scores: the log odds of the second class.
        """
        graph = self.graph
        if width > 1:
            return graph.node("Softmax", [raw], axis=1)
        # 1 - p would lose the digits of small probabilities of the first class.
        negative = graph.node("Sigmoid", [graph.node("Neg", [raw])])
        return graph.node("Concat", [negative, graph.node("Sigmoid", [raw])], axis=1)

    def _inverse_link(self, learner: Any, raw: str) -> str:
        link = type(learner._loss.link).__name__
        if link == "IdentityLink":
            return raw
        if link == "LogLink":
            return self.graph.node("Exp", [raw])
        raise ValueError(f"its link function is {link}")

    def _converted(
        self, learner: Any, features: Sequence[int] | None, method: str, prefix: str
    ) -> str:
        graph, n_classes = self.graph, self.bank.n_classes
        outputs = self._skl2onnx(learner, features, prefix)
        if not n_classes:
            return graph.node("Reshape", [outputs[0], graph.constant([-1, 1])])
        if method == "predict":
            flat = graph.node("Reshape", [outputs[0], graph.constant([-1])])
            return graph.node("Cast", [flat], to=int(_types().INT64))
        return self._padded(outputs[1], _codes(learner))

    def _booster(
        self, learner: Any, features: Sequence[int] | None, method: str, prefix: str
    ) -> str:
        """Add a booster, or a pipeline that ends in one."""
        graph, booster = self.graph, _unnamed(learner).booster
        refuse_booster(last_step(booster))
        if _unnamed(learner).sparse_ and booster_package(booster) == "xgboost":
            raise ValueError("it was fitted on sparse rows, whose zeros it takes for missing")
        if booster_package(booster) == "catboost":
            outputs = self._catboost(booster, features, prefix)
        else:
            register_converters()
            outputs = self._skl2onnx(booster, features, prefix)
        if not self.bank.n_classes:
            return graph.node("Reshape", [outputs[0], graph.constant([-1, 1])])
        # The booster's own labels are ranks among the classes that it has seen.
        found = self._padded(outputs[1], _codes(learner))
        return graph.node("ArgMax", [found], axis=1, keepdims=0) if method == "predict" else found

    def _catboost(self, booster: Any, features: Sequence[int] | None, prefix: str) -> list[str]:
        nodes, given, outputs = catboost_graph(booster)
        columns = self.graph.columns(features)
        for node in nodes:
            node.input[:] = [columns if name == given else f"{prefix}{name}" for name in node.input]
            node.output[:] = [f"{prefix}{name}" for name in node.output]
        self.graph.add(nodes, [])
        return [f"{prefix}{name}" for name in outputs]

    def _skl2onnx(self, learner: Any, features: Sequence[int] | None, prefix: str) -> list[str]:
        """Add the graph that skl2onnx makes from a learner; return the names of its outputs."""
        skl2onnx = require("skl2onnx")
        compose = require("onnx.compose")
        types = require("skl2onnx.common.data_types")
        width = self.graph.n_features if features is None else len(features)
        options = {"zipmap": False} if hasattr(learner, "predict_proba") else None
        model = skl2onnx.convert_sklearn(
            learner,
            initial_types=[("x", types.FloatTensorType([None, width]))],
            options=options,
            target_opset=OPSETS,
        )
        part = compose.add_prefix(model, prefix).graph
        columns = self.graph.columns(features)
        for node in part.node:
            for i, name in enumerate(node.input):
                if name == f"{prefix}x":
                    node.input[i] = columns
        self.graph.add(part.node, part.initializer)
        return [output.name for output in part.output]

    def _padded(self, probabilities: str, codes: list[int]) -> str:
        n_classes = self.bank.n_classes
        if codes == list(range(n_classes)):
            return probabilities
        place = np.zeros((len(codes), n_classes), np.float32)
        place[np.arange(len(codes)), codes] = 1.0
        return self.graph.node("MatMul", [probabilities, self.graph.constant(place)])


def _unnamed(learner: Any) -> Any:
    """Return the learner in a `NamedLearner` that only translates classes."""
    inside = isinstance(learner, NamedLearner) and learner.names is None
    return learner.learner if inside else learner


def _codes(learner: Any) -> list[int]:
    return [int(code) for code in learner.classes_]


def _types() -> Any:
    return require("onnx").TensorProto
