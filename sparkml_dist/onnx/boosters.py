"""XGBoost, LightGBM and CatBoost in ONNX: the converters of onnxmltools, and CatBoost's own."""

from __future__ import annotations

import sys
from typing import Any

from sparkml_dist.onnx.graph import require

__all__ = ["catboost_graph", "refuse_booster", "register_converters"]

_CONVERTERS = {
    "xgboost": (
        "onnxmltools.convert.xgboost.operator_converters.XGBoost",
        "convert_xgboost",
        "XGBoost",
        ("XGBClassifier", "XGBRegressor"),
    ),
    "lightgbm": (
        "onnxmltools.convert.lightgbm.operator_converters.LightGbm",
        "convert_lightgbm",
        "LightGbm",
        ("LGBMClassifier", "LGBMRegressor"),
    ),
}
_registered: set[str] = set()


def register_converters() -> None:
    """Let skl2onnx convert boosters of the imported packages, at any place in a pipeline."""
    for package, (module, function, prefix, kinds) in _CONVERTERS.items():
        if package in _registered or package not in sys.modules:
            continue
        shapes = require("skl2onnx.common.shape_calculator")
        converter = getattr(require(module), function)
        for kind in kinds:
            classifies = kind.endswith("Classifier")
            name = "classifier" if classifies else "regressor"
            options: dict[str, Any] = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
            if not classifies:
                options = {"split": None} if package == "lightgbm" else {}
            require("skl2onnx").update_registered_converter(
                getattr(sys.modules[package], kind),
                f"{prefix}{kind}",
                getattr(shapes, f"calculate_linear_{name}_output_shapes"),
                converter,
                options=options,
            )
        _registered.add(package)


def refuse_booster(booster: Any) -> None:
    """Raise ValueError for a booster that the converters get wrong, or do not know.

    Parameters
    ----------
    booster : fitted estimator
        Of any package; others than boosters pass.
    """
    package = type(booster).__module__.partition(".")[0]
    if package == "xgboost":
        if type(booster).__name__.startswith("XGBRF"):
            raise ValueError("the converter does not average the trees of random forests")
        if booster.booster not in (None, "gbtree"):
            raise ValueError(f"the converter does not know booster={booster.booster!r}")
        if "c" in (booster.get_booster().feature_types or ()):
            raise ValueError("it splits by categories, which ONNX trees do not support")
    elif package == "lightgbm":
        if booster.get_params().get("boosting_type") == "rf":
            raise ValueError("the converter does not average the trees of random forests")
        if "num_cat=0" not in (text := booster.booster_.model_to_string()) or any(
            line.startswith("num_cat=") and line != "num_cat=0" for line in text.splitlines()
        ):
            raise ValueError("it splits by categories, which ONNX trees do not support")
    elif package == "catboost" and len(booster.get_cat_feature_indices()):
        raise ValueError("it splits by categories, which ONNX trees do not support")


def catboost_graph(booster: Any) -> tuple[list[Any], str, list[str]]:
    """Return the nodes that CatBoost makes of a model, their input, and their outputs.

    The outputs are labels and probabilities of a classifier, or the predictions of a regressor.
    """
    from catboost.utils import convert_to_onnx_object

    graph = convert_to_onnx_object(booster).graph
    nodes = [node for node in graph.node if node.op_type != "ZipMap"]
    if len(nodes) != 1:
        raise ValueError("CatBoost converts it to more than one tree ensemble")
    return nodes, graph.input[0].name, list(nodes[0].output)
