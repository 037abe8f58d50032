"""XGBoost's parameters that have no Param of their own."""

from __future__ import annotations

from typing import Any

from sparkml_dist.errors import ConfigurationError, nearest

__all__ = ["check_extra_params", "draws_at_random"]

_KNOWN = (
    *("max_delta_step", "colsample_bylevel", "colsample_bynode", "scale_pos_weight", "base_score"),
    *("max_cat_to_onehot", "max_cat_threshold", "num_parallel_tree", "sampling_method"),
    *("max_cached_hist_node", "refresh_leaf", "quantile_alpha", "huber_slope", "verbosity"),
    *("tweedie_variance_power", "expectile_alpha"),
)
# Those with a Param, or that the ranks decide.
_TAKEN = {
    "n_estimators": "numMembers",
    "num_boost_round": "numMembers",
    "eta": "learningRate",
    "learning_rate": "learningRate",
    "max_depth": "maxDepth",
    "max_leaves": "maxLeaves",
    "grow_policy": "growPolicy",
    "max_bin": "maxBin",
    "min_child_weight": "minChildWeight",
    "gamma": "minSplitLoss",
    "min_split_loss": "minSplitLoss",
    "subsample": "subsample",
    "colsample_bytree": "colsampleByTree",
    "lambda": "regLambda",
    "reg_lambda": "regLambda",
    "alpha": "regAlpha",
    "reg_alpha": "regAlpha",
    "monotone_constraints": "monotoneConstraints",
    "interaction_constraints": "interactionConstraints",
    "objective": "objective",
    "eval_metric": "evalMetric",
    "early_stopping_rounds": "patience",
    "seed": "seed",
    "random_state": "seed",
}
_DECIDED = {
    "nthread": "a rank uses the cores of its task (spark.task.cpus)",
    "n_jobs": "a rank uses the cores of its task (spark.task.cpus)",
    "device": "a rank uses the GPU that Spark assigns to its task",
    "tree_method": "several ranks and external memory need 'hist'",
    "booster": "the model is a sum of trees",
    "multi_strategy": "a label has one number",
    "num_class": "it is that of the label",
    "process_type": "trees are new ones",
    "seed_per_iteration": "the draws of a round depend on the seed and the round",
    "updater": "several ranks and external memory need 'hist'",
}
_TYPES = (int, float, str, bool)


def check_extra_params(value: Any) -> dict[str, Any]:
    """Return further parameters of XGBoost, checked.

    Raises
    ------
    ConfigurationError
        ``invalid_param``: not a dict, a parameter that XGBoost lacks, or one that has a Param of
        its own or that the ranks decide.
    """
    if not isinstance(value, dict):
        raise ConfigurationError(
            "invalid_param", f"extraParams must be a dict. Got {type(value).__name__}."
        )
    for name, given in value.items():
        if name in _TAKEN:
            raise ConfigurationError(
                "invalid_param", f"extraParams has {name!r}.", f"Set {_TAKEN[name]} instead."
            )
        if name in _DECIDED:
            raise ConfigurationError(
                "invalid_param", f"extraParams has {name!r}, which cannot be set: {_DECIDED[name]}."
            )
        if name not in _KNOWN:
            raise ConfigurationError(
                "invalid_param",
                f"extraParams has {name!r}, which XGBoost does not know."
                f"{nearest(str(name), (*_KNOWN, *_TAKEN))}",
                f"Parameters are: {', '.join(sorted(_KNOWN))}.",
            )
        if not isinstance(given, _TYPES):
            raise ConfigurationError(
                "invalid_param",
                f"extraParams[{name!r}] must be a number or a text. Got {given!r}.",
            )
    return dict(value)


def draws_at_random(parameters: dict[str, Any]) -> bool:
    """Tell whether trees are grown on random rows or features."""
    names = ("subsample", "colsample_bytree", "colsample_bylevel", "colsample_bynode")
    return any(float(parameters.get(name, 1)) < 1 for name in names)
