"""A family of learners: one kind with a space of settings, and some that are good elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparkml_dist.automl.preprocessing import Family as Form
from sparkml_dist.automl.preprocessing import with_preprocessing
from sparkml_dist.automl.table_column import TableColumn
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.search.dimensions import Choices, Point
from sparkml_dist.search.space import Space, dimension_of

__all__ = ["Family", "Situation"]


@dataclass(frozen=True)
class Situation:
    """What the settings of families depend on.

    Attributes
    ----------
    schema : FeatureSchema
    columns : tuple of TableColumn
        That features are made of, as far as it is known.
    rows : int
        Rows that a learner is fitted to, at most.
    classes : int
        0 for a regression.
    imbalanced : bool
        Whether the rarest class has less than a fifth of an even share.
    metric : str
    seed : int
    can_stop : bool
        Whether every class has rows enough for a stratified hold-out inside a learner.
    seconds : float or None
        What a fit should take at most; None if time does not matter.
    """

    schema: FeatureSchema
    columns: tuple[TableColumn, ...]
    rows: int
    classes: int
    imbalanced: bool
    metric: str
    seed: int
    can_stop: bool = True
    seconds: float | None = None

    @property
    def is_regression(self) -> bool:
        """Whether the label is a number."""
        return self.classes == 0

    @property
    def features(self) -> int:
        """Number of features."""
        return self.schema.n_features

    def prepared(self, learner: Any, form: Form) -> Any:
        """Return a learner behind the preprocessing of its kind; see `with_preprocessing`."""
        return with_preprocessing(
            learner,
            self.schema,
            form,
            columns=self.columns,
            task="regression" if self.is_regression else "classification",
            num_classes=self.classes or 2,
        )

    @property
    def class_weights(self) -> dict[str, list[Any]]:
        """The dimension of class weights, where classes are so uneven that they may help."""
        return {"class_weight": [None, "balanced"]} if self.imbalanced else {}

    @property
    def no_class_weights(self) -> dict[str, Any]:
        """Its value in settings to begin with."""
        return {"class_weight": None} if self.imbalanced else {}


@dataclass(frozen=True)
class Family:
    """One kind of learner.

    Attributes
    ----------
    name : str
    learner : scikit-learn estimator
        With the settings that all trials share.
    space : mapping of str to list or distribution
        By parameter of the learner, as `HyperparameterSearch` takes it.
    portfolio : sequence of mapping
        Settings to begin with, the best on average first; each has a value for every parameter of
        the space.
    cost : float
        How long a fit takes, about, in units of a histogram boosting; decides who comes first.
    """

    name: str
    learner: Any
    space: Mapping[str, Any]
    portfolio: Sequence[Mapping[str, Any]] = field(default=({},))
    cost: float = 1.0

    def points(self, params: Mapping[str, Any]) -> dict[str, Point]:
        """Return the points of the space where its parameters have these values."""
        found: dict[str, Point] = {}
        for name, values in self.space.items():
            dimension = dimension_of(name, values)
            value = params[name]
            if isinstance(dimension, Choices):
                # Not `index`: True equals 1.
                kinds = [(type(v), v) for v in dimension.values]
                found[name] = kinds.index((type(value), value))
            else:
                found[name] = value
        return found

    def searched(self) -> Space:
        """Return the space, checked against the learner."""
        return Space.of(dict(self.space), self.learner)
