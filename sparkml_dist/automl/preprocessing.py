"""Preprocessing of features for each family of learners, as pipelines of scikit-learn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

from sparkml_dist.automl.feature_kinds import FeatureKind, feature_kinds
from sparkml_dist.automl.table_column import TableColumn
from sparkml_dist.dataset.columns import Task
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.errors import ConfigurationError, nearest

__all__ = ["Family", "with_preprocessing"]

Family = Literal["linear", "neighbors", "network", "tree", "booster"]

#: Categories that become a feature each; more are encoded by the target, if there are few classes.
_MOST_ONE_HOT = 32
_MOST_ENCODED_CLASSES = 10
#: Features of categories beyond which a sparse matrix is smaller.
_SPARSE_FROM = 512
_QUANTILES = 100


def with_preprocessing(
    learner: Any,
    schema: FeatureSchema,
    family: Family,
    *,
    columns: Iterable[TableColumn] = (),
    task: Task = "classification",
    num_classes: int = 2,
) -> Any:
    """Return a learner that gets its features in the form that its family works best with.

    Trees and boosters split numbers at any scale, and get categories as codes (native categories
    where the ensemble knows how), so that they are returned as they are; one that takes no missing
    values gets medians in their place.

    Linear models, neighbours and networks get a pipeline: numbers with the median in place of
    missing values, and an indicator of these, are standardized; those with heavy tails are mapped
    to a normal distribution by their ranks; months, weekdays, hours and columns of up to 32
    categories become a feature for each value; columns of more categories become means of the
    target (`sklearn.preprocessing.TargetEncoder`), or, with more than ten classes, a feature for
    each frequent category. Categories that a member has not seen have no feature, or the mean of
    all rows. Only public classes of scikit-learn are used, which models store without further
    trust.

    Parameters
    ----------
    learner : scikit-learn estimator
        Not changed.
    schema : FeatureSchema
        The features, as in the manifest of a partitioned data set.
    family : {"linear", "neighbors", "network", "tree", "booster"}
    columns : iterable of TableColumn
        Those of a `TableFeaturesModel`: which features have heavy tails, come from dates, or count
        words.
    task : {"classification", "regression"}
    num_classes : int, default=2

    Returns
    -------
    scikit-learn estimator

    Raises
    ------
    ConfigurationError
        ``invalid_param``.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sparkml_dist.automl.preprocessing import with_preprocessing
    >>> pipeline = with_preprocessing(LogisticRegression(), data.schema, "linear")
    >>> [name for name, _ in pipeline.steps]
    ['preprocessing', 'learner']
    """
    if family not in get_args(Family):
        raise ConfigurationError(
            "invalid_param",
            f"family must be one of {', '.join(get_args(Family))}. Got {family!r}."
            f"{nearest(str(family), get_args(Family))}",
        )
    kinds = feature_kinds(schema, columns)
    if family in ("tree", "booster"):
        return _imputed(learner)
    from sklearn.pipeline import Pipeline

    sparse = schema.layout == "sparse"
    step = _transformer(kinds, task, num_classes, sparse)
    return Pipeline([("preprocessing", step), ("learner", learner)])


def _imputed(learner: Any) -> Any:
    """Return a learner that takes missing values."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.utils import get_tags

    if get_tags(learner).input_tags.allow_nan:
        return learner
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    return Pipeline([("imputer", imputer), ("learner", learner)])


def _transformer(kinds: Sequence[FeatureKind], task: Task, num_classes: int, sparse: bool) -> Any:
    """Return the transformer of features of these kinds."""
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import (
        MaxAbsScaler,
        OneHotEncoder,
        QuantileTransformer,
        StandardScaler,
    )

    small: list[int] = []
    large: list[int] = []
    for i, kind in enumerate(kinds):
        if kind.name == "category":
            (small if kind.categories <= _MOST_ONE_HOT else large).append(i)
    by_target = task == "regression" or num_classes <= _MOST_ENCODED_CLASSES
    one_hot = sum(kinds[i].categories + 1 for i in small) + _MOST_ONE_HOT * len(large)
    shape = {"sparse_output": sparse or one_hot > _SPARSE_FROM}
    parts: list[tuple[str, Any, list[int]]] = []

    def add(name: str, transformer: Any, features: list[int]) -> None:
        if features:
            parts.append((name, transformer, features))

    def named(name: str) -> list[int]:
        return [i for i, kind in enumerate(kinds) if kind.name == name]

    # Zeros of a sparse matrix stay zeros: nothing is subtracted, and nothing is missing there.
    plain = MaxAbsScaler() if sparse else StandardScaler()
    heavy = QuantileTransformer(
        n_quantiles=_QUANTILES, output_distribution="normal", random_state=0
    )
    add("numbers", _filled(plain), named("number"))
    add("skewed", _filled(MaxAbsScaler() if sparse else heavy), named("skewed"))
    add("counts", _filled(MaxAbsScaler(), indicator=False), named("count"))
    add("categories", OneHotEncoder(handle_unknown="ignore", **shape), [*named("cycle"), *small])
    if by_target:
        add("large", _scaled(_target_encoder(task)), large)
    else:
        frequent = OneHotEncoder(
            handle_unknown="infrequent_if_exist", max_categories=_MOST_ONE_HOT, **shape
        )
        add("large", frequent, large)
    return ColumnTransformer(parts, verbose_feature_names_out=False)


def _filled(scaler: Any, *, indicator: bool = True) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline

    imputer = SimpleImputer(strategy="median", add_indicator=indicator, keep_empty_features=True)
    return Pipeline([("imputer", imputer), ("scaler", scaler)])


def _target_encoder(task: Task) -> Any:
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import TargetEncoder

    splits = {"n_splits": 5, "shuffle": True, "random_state": 0}
    if task == "regression":  # whose targets may look like classes
        return TargetEncoder(target_type="continuous", cv=KFold(**splits))
    return TargetEncoder(cv=StratifiedKFold(**splits))


def _scaled(encoder: Any) -> Any:
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    return Pipeline([("encoder", encoder), ("scaler", StandardScaler())])
