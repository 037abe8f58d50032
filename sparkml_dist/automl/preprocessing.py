"""Steps before learners that take neither categories nor missing values, nor any scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sparkml_dist.dataset.schema import FeatureSchema

__all__ = ["FeatureFacts", "encoded", "scaled"]

#: Categories of a feature that get a column of their own.
MOST_COLUMNS = 60
_QUANTILES = 1_000


@dataclass(frozen=True)
class FeatureFacts:
    """What decides the steps before a learner.

    Attributes
    ----------
    numbers : tuple of int
        Positions of features that are numbers.
    skewed : tuple of int
        Those among them with heavy tails.
    categories : tuple of int
        Positions of features that are categories.
    missing : tuple of int
        Positions of features with missing values in the training data.
    sparse : bool
        Whether rows are sparse.
    """

    numbers: tuple[int, ...]
    skewed: tuple[int, ...]
    categories: tuple[int, ...]
    missing: tuple[int, ...]
    sparse: bool

    @classmethod
    def of(
        cls, schema: FeatureSchema, missing: Sequence[int], skewed: Sequence[str] = ()
    ) -> FeatureFacts:
        """Look at encoded features.

        Parameters
        ----------
        schema : FeatureSchema
        missing : sequence of int
            Positions of features with missing values.
        skewed : sequence of str
            Names of numeric columns with heavy tails.
        """
        counts = schema.category_counts() or [0] * schema.n_features
        numbers = tuple(i for i, n in enumerate(counts) if not n)
        named = set(skewed)
        return cls(
            numbers,
            tuple(i for i in numbers if schema.feature_names[i] in named),
            tuple(i for i, n in enumerate(counts) if n),
            tuple(missing),
            schema.layout == "sparse",
        )


def scaled(learner: Any, facts: FeatureFacts) -> Any:
    """Return a pipeline that imputes, scales and encodes features for a learner.

    Numbers get the median in place of missing values, mean 0 and variance 1; those with heavy tails
    are mapped to a normal distribution by their ranks. Categories become a column each, rare ones
    together. Sparse rows are divided by the largest absolute value of each feature.

    Parameters
    ----------
    learner : scikit-learn estimator
        The last step, named ``learner``.
    facts : FeatureFacts
    """
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MaxAbsScaler, QuantileTransformer, StandardScaler

    if facts.sparse:
        return Pipeline([("scale", MaxAbsScaler()), ("learner", learner)])
    skewed = [i for i in facts.numbers if i in facts.skewed]
    others = [i for i in facts.numbers if i not in facts.skewed]
    ranks = QuantileTransformer(
        n_quantiles=_QUANTILES, output_distribution="normal", random_state=0
    )
    parts = [
        ("number", _imputed(StandardScaler(), others, facts), others),
        ("skewed", _imputed(ranks, skewed, facts), skewed),
        ("category", _columns_of_categories(), list(facts.categories)),
    ]
    return Pipeline([("prepare", _together(parts)), ("learner", learner)])


def encoded(learner: Any, facts: FeatureFacts) -> Any:
    """Return a pipeline for trees: numbers as they are, few categories as columns.

    Parameters
    ----------
    learner : scikit-learn estimator
        The last step, named ``learner``.
    facts : FeatureFacts
    """
    from sklearn.pipeline import Pipeline

    if facts.sparse or not facts.categories:
        return Pipeline([("learner", learner)])
    parts = [
        ("number", "passthrough", list(facts.numbers)),
        ("category", _columns_of_categories(), list(facts.categories)),
    ]
    return Pipeline([("prepare", _together(parts)), ("learner", learner)])


def _columns_of_categories() -> Any:
    from sklearn.preprocessing import OneHotEncoder

    return OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=MOST_COLUMNS,
        min_frequency=2,
        sparse_output=False,
        dtype="float32",
    )


def _imputed(step: Any, features: Sequence[int], facts: FeatureFacts) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline

    # Rows to score may lack values where the training data do not; then it is the mean.
    impute = SimpleImputer(
        strategy="median",
        keep_empty_features=True,
        add_indicator=bool(set(features) & set(facts.missing)),
    )
    return Pipeline([("impute", impute), ("scale", step)])


def _together(parts: Sequence[tuple[str, Any, list[int]]]) -> Any:
    from sklearn.compose import ColumnTransformer

    return ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0.0)
