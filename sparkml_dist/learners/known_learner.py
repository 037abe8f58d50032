"""A learner, and what is known of it before members are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.learners.booster_learner import BoosterLearner
from sparkml_dist.learners.boosters import (
    booster_package,
    last_step,
    rank_classes,
    takes_categories,
)
from sparkml_dist.learners.learner import Traits, prepare
from sparkml_dist.learners.named_learner import NamedLearner
from sparkml_dist.learners.naming import (
    encodes_categories,
    named_columns,
    names_categories,
    names_classes,
    refuse_unknown_columns,
    with_class_codes,
)

__all__ = ["KnownLearner"]


@dataclass(frozen=True)
class KnownLearner:
    """A learner to copy for each member, with its input form; sent to tasks.

    Members get numeric arrays, in which categories and classes are codes. A `NamedLearner`
    translates for learners that refer to a column, a category or a class by name. A
    `BoosterLearner` passes on what only boosters take.

    Attributes
    ----------
    learner : scikit-learn estimator
        Unfitted; its parameters refer to classes by code.
    traits : Traits
    schema : FeatureSchema
        Of the features.
    form : {"array", "frame", "text", "category"}
        Input form: an array, or a data frame whose categories are codes ("frame"), strings
        ("text") or pandas categories ("category").
    by_class : bool
        Whether its parameters refer to classes (by code).
    """

    learner: Any
    traits: Traits
    schema: FeatureSchema
    form: str = "array"
    by_class: bool = False

    @classmethod
    def of(cls, learner: Any, schema: FeatureSchema, classes: Sequence[Any] = ()) -> KnownLearner:
        """Examine a learner, given the features and classes that it will learn from.

        Parameters
        ----------
        learner : scikit-learn estimator
        schema : FeatureSchema
        classes : sequence
            Empty for a regression.

        Raises
        ------
        ConfigurationError
            ``unknown_class`` or ``unknown_feature``.
        """
        form, by_class = "array", False
        wanted = names_categories(learner) if schema.categorical_features else ""
        if wanted or named_columns(learner):
            form = wanted or "frame"
            refuse_unknown_columns(learner, schema.feature_names)
        if classes and names_classes(learner, classes):
            learner, by_class = with_class_codes(learner, classes), True
        if classes and rank_classes(learner):
            by_class = True
        traits = replace(Traits.of(learner), encodes=encodes_categories(learner))
        return cls(learner, traits, schema, form, by_class)._with_traits()

    def with_form(self, form: str) -> KnownLearner:
        """Return the same learner with another input form."""
        return replace(self, form=form)._with_traits()

    def _with_traits(self) -> KnownLearner:
        if self.form == "array":
            return self
        encodes = self.traits.encodes or self.form != "frame"
        return replace(self, traits=replace(self.traits, allows_sparse=False, encodes=encodes))

    def prepared(self, random_state: int, cores: int, features: Sequence[int] | None = None) -> Any:
        """Return an unfitted copy for one member.

        Parameters
        ----------
        random_state : int
        cores : int
        features : sequence of int, optional
            Features that the member gets; all by default.
        """
        counts = self.schema.category_counts(features)
        categories = counts if self.form in ("array", "frame") else ()
        fresh = prepare(self.learner, random_state, cores, categories=categories)
        chosen = range(self.schema.n_features) if features is None else [*map(int, features)]
        own = [self.schema.feature_names[i] for i in chosen]
        if booster_package(last_step(fresh)):
            fresh = _wrapped(fresh, categories, random_state, chosen, own)
        if self.form == "array" and not self.by_class:
            return fresh
        names, texts = None, None
        if self.form != "array":
            names = own
            if self.form != "frame":
                known = [list(c.categories) for c in self.schema.columns for _ in range(c.size)]
                texts = [known[i] for i in chosen]
        return NamedLearner(fresh, self.by_class, names, texts, self.form == "category")


def _wrapped(
    booster: Any,
    categories: Sequence[int],
    seed: int,
    chosen: Sequence[int] = (),
    names: Sequence[str] = (),
) -> BoosterLearner:
    """Return a booster, or a pipeline that ends in one, that takes a member's rows.

    Parameters
    ----------
    booster : estimator
    categories : sequence of int
        Number of categories of each feature of the member.
    seed : int
    chosen : sequence of int
        The member's features, and
    names : sequence of str
        their names, where CatBoost's ``cat_features`` names some.
    """
    categorical: list[int] = []
    if takes_categories(booster):
        categorical = [i for i, n in enumerate(categories) if n > 0]
    elif booster_package(booster) == "catboost":
        # It takes categories as whole numbers, which arrays of features do not hold.
        params = booster.get_params()
        named = params.pop("cat_features")
        wanted = {named} if isinstance(named, str | int) else {*named}
        categorical = [
            at
            for at, (i, name) in enumerate(zip(chosen, names, strict=True))
            if i in wanted or name in wanted
        ]
        booster = type(booster)(**params)
    return BoosterLearner(booster, categorical or None, seed)
