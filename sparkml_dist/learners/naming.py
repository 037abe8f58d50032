"""Parameters, at any depth of a learner, that name classes, columns, categories or functions."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sparkml_dist.errors import ConfigurationError, nearest

__all__ = [
    "changed",
    "encodes_categories",
    "named_columns",
    "names_categories",
    "names_classes",
    "parts",
    "refuse_unimportable",
    "refuse_unknown_columns",
    "with_class_codes",
    "with_present_ranks",
]

# Parameters whose value is keyed by class, is one class, or is several classes.
_BY_CLASS = ("class_weight", "class_weights", "sampling_strategy")
_ONE_CLASS = ("pos_label",)
_CLASSES = ("labels", "classes", "class_names")
_COLUMNS = (
    *("categorical_features", "cols", "columns", "variables"),
    *("cat_features", "ignored_features", "categorical_feature"),
)
# Parameters keyed by column.
_BY_COLUMN = ("monotonic_cst", "monotone_constraints", "feature_weights")
_GRIDS = ("param_grid", "param_distributions")


def _is_learner(value: Any) -> bool:
    return hasattr(value, "get_params") and not inspect.isclass(value)


def _inside(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a parameter's value, each with a parameter name."""
    if _is_learner(value):
        yield from value.get_params(deep=False).items()
    elif isinstance(value, list | tuple):
        yield from ((name, one) for one in value)
    elif isinstance(value, dict) and name in _GRIDS:
        yield from ((str(key).rpartition("__")[2], one) for key, one in value.items())
    elif kwargs := _scorer_kwargs(value):
        yield from kwargs.items()


def _scorer_kwargs(value: Any) -> dict[str, Any]:
    """Return the arguments that a scikit-learn scorer passes to its function."""
    if type(value).__module__ != "sklearn.metrics._scorer":
        return {}
    found: dict[str, Any] = vars(value).get("_kwargs", {})
    return found


def parts(learner: Any) -> Iterator[tuple[Any, str, Any]]:
    """Yield every parameter of a learner and of all estimators inside it.

    Includes the grids of a search and the arguments of scorers.

    Yields
    ------
    owner : object
        The innermost estimator that has the parameter.
    name : str
    value : object
    """

    def look(owner: Any, name: str, value: Any) -> Iterator[tuple[Any, str, Any]]:
        yield owner, name, value
        inner = value if _is_learner(value) else owner
        for key, one in _inside(name, value):
            yield from look(inner, key, one)

    yield from look(learner, "", learner)


# -- classes ----------------------------------------------------------------------------------


def names_classes(learner: Any, classes: Sequence[Any]) -> bool:
    """Tell whether a parameter of a learner refers to classes by value rather than by code.

    Parameters
    ----------
    learner : scikit-learn estimator
    classes : sequence
        In the order of their codes.
    """
    # A score such as F1 takes the class 1 for the positive one by default.
    one_elsewhere = 1 in classes and list(classes).index(1) != 1
    for _, name, value in parts(learner):
        if name in _BY_CLASS and isinstance(value, dict):
            return True
        if name in _ONE_CLASS and value is not None:
            return True
        if name in _CLASSES and isinstance(value, list | tuple):
            return True
        if name == "scoring" and value is not None and one_elsewhere:
            return True
    return False


def with_class_codes(learner: Any, classes: Sequence[Any]) -> Any:
    """Return a learner whose parameters refer to classes by code.

    Class weights get an entry of 1 for every class without one, because scikit-learn then accepts a
    shard that lacks some of the weighted classes.

    Parameters
    ----------
    learner : scikit-learn estimator
        Not changed.
    classes : sequence
        In the order of their codes.

    Raises
    ------
    ConfigurationError
        ``unknown_class`` for a class that is not among the labels.
    """
    one_elsewhere = 1 in classes and list(classes).index(1) != 1

    def class_of(owner: Any, name: str, value: Any) -> Any:
        for shown, known in enumerate(classes):
            if known == value or (
                isinstance(value, str) and not isinstance(known, str) and _denotes(value, known)
            ):
                return shown
        raise ConfigurationError(
            "unknown_class",
            f"{name} of {type(owner).__name__} names the class {value!r}, which is not among the "
            f"labels.{nearest(str(value), map(str, classes))}",
            f"Classes are: {', '.join(repr(c) for c in classes[:20])}.",
        )

    def change(owner: Any, name: str, value: Any) -> Any:
        if name in _BY_CLASS and isinstance(value, dict):
            named = {class_of(owner, name, key): weight for key, weight in value.items()}
            others = {} if name == "sampling_strategy" else dict.fromkeys(range(len(classes)), 1)
            return others | named
        if name in _ONE_CLASS and value is not None:
            return class_of(owner, name, value)
        if name in _CLASSES and isinstance(value, list | tuple):
            return [class_of(owner, name, one) for one in value]
        if name == "scoring" and one_elsewhere:
            return _with_positive(value, class_of(owner, name, 1))
        return value

    return changed(learner, "", learner, change)


def _with_positive(scoring: Any, seen: Any) -> Any:
    """Return a score whose positive class is `seen`, if its default would be 1."""
    from sklearn.metrics import get_scorer, get_scorer_names

    if isinstance(scoring, str) and scoring in get_scorer_names():
        scorer: Any = get_scorer(scoring)
    elif type(scoring).__module__ == "sklearn.metrics._scorer" and hasattr(scoring, "_kwargs"):
        scorer = scoring
    else:
        return scoring
    taken = inspect.signature(scorer._score_func).parameters.get("pos_label")
    kwargs = scorer._kwargs
    given = "pos_label" in kwargs or kwargs.get("average", "binary") != "binary"
    if taken is None or taken.default != 1 or given:
        return scoring
    copied = copy.copy(scorer)
    copied._kwargs = {**kwargs, "pos_label": seen}
    return copied


def with_present_ranks(learner: Any, present: Sequence[int]) -> Any:
    """Return a learner whose parameters refer to classes by rank among the classes present.

    Parameters
    ----------
    learner : scikit-learn estimator
        Its parameters refer to classes by code, as `with_class_codes` returns it.
    present : sequence of int
        Codes of the classes in the member's training rows, sorted.
    """
    rank = {code: i for i, code in enumerate(present)}

    def change(_: Any, name: str, value: Any) -> Any:
        if name in _BY_CLASS and isinstance(value, dict):
            return {rank[code]: weight for code, weight in value.items() if code in rank}
        if name in _ONE_CLASS and value is not None:
            return rank.get(value, len(present))
        if name in _CLASSES and isinstance(value, list | tuple):
            return [rank[code] for code in value if code in rank]
        return value

    return changed(learner, "", learner, change)


def _denotes(text: str, known: Any) -> bool:
    """Tell whether a string, such as a JSON key, stands for a class that is not a string."""
    if isinstance(known, bool):
        return text.casefold() == str(known).casefold()
    try:
        return float(text) == float(known)
    except ValueError:
        return False


def changed(owner: Any, name: str, value: Any, change: Callable[[Any, str, Any], Any]) -> Any:
    """Return a value with its parameters changed; parts without a change are not copied.

    Parameters
    ----------
    owner : object
        The innermost estimator that has the parameter.
    name : str
        Of the parameter.
    value : object
    change : callable
        ``change(owner, name, value)`` returns the new value.
    """
    new = change(owner, name, value)
    if new is not value:
        return new
    inner = value if _is_learner(value) else owner
    found = [(key, one, changed(inner, key, one, change)) for key, one in _inside(name, value)]
    if all(one is other for _, one, other in found):
        return value
    if isinstance(value, tuple | list):
        made = [other for *_, other in found]
        return tuple(made) if isinstance(value, tuple) else made
    if isinstance(value, dict):
        return dict(zip(value, (other for *_, other in found), strict=True))
    copied = copy.copy(value)
    if _is_learner(value):
        for key, one, other in found:
            if one is not other:
                setattr(copied, key, other)
    else:
        copied._kwargs = {key: other for key, _, other in found}
    return copied


# -- columns and categories -------------------------------------------------------------------


def named_columns(learner: Any) -> bool:
    """Tell whether a parameter of a learner names columns, or selects them by type."""
    for _, name, value in parts(learner):
        if name == "transformers" and isinstance(value, tuple) and len(value) == 3:
            if callable(value[2]) or _texts(value[2]):
                return True
        elif (
            (name in _COLUMNS and not isinstance(value, str) and _texts(value))
            or (name in _BY_COLUMN and isinstance(value, dict) and _texts(value))
            or (
                name == "interaction_constraints"
                and isinstance(value, list | tuple)
                and any(_texts(group) for group in value if not isinstance(group, str))
            )
        ):
            return True
    return False


def _texts(columns: Any) -> list[str]:
    """Return the column names in a column specification."""
    if isinstance(columns, str):
        return [columns]
    if isinstance(columns, slice):
        return [c for c in (columns.start, columns.stop) if isinstance(c, str)]
    if isinstance(columns, dict):
        return [c for c in columns if isinstance(c, str)]
    if isinstance(columns, list | tuple | set) or hasattr(columns, "tolist"):
        return [c for c in columns if isinstance(c, str)]
    return []


def refuse_unknown_columns(learner: Any, names: Sequence[str]) -> None:
    """Raise if a learner, or a part that gets the same features, names an unknown column.

    Parameters
    ----------
    learner : scikit-learn estimator
    names : sequence of str
        Of the features.

    Raises
    ------
    ConfigurationError
        ``unknown_feature``.
    """
    for owner in _given_features(learner):
        params = owner.get_params(deep=False)
        found = [
            ("transformers", column)
            for one in params.get("transformers") or ()
            if isinstance(one, tuple) and len(one) == 3
            for column in _texts(one[2])
        ]
        for key in (*_COLUMNS, *_BY_COLUMN):
            if not isinstance(params.get(key), str):
                found += [(key, column) for column in _texts(params.get(key))]
        for key, column in found:
            if column not in names:
                raise ConfigurationError(
                    "unknown_feature",
                    f"{key} of {type(owner).__name__} names the column {column!r}, which is not a "
                    f"feature.{nearest(column, names)}",
                    f"Features are: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}.",
                )


def _given_features(learner: Any) -> Iterator[Any]:
    """Yield a learner, and the learners inside it that get the same features."""
    if not _is_learner(learner):
        return
    yield learner
    params = learner.get_params(deep=False)
    if steps := params.get("steps"):
        yield from _given_features(steps[0][1])
    for key in ("estimator", "regressor"):
        yield from _given_features(params.get(key))
    for key in ("estimators", "transformer_list"):
        for one in params.get(key) or ():
            yield from _given_features(one[1] if isinstance(one, tuple) else one)


def names_categories(learner: Any) -> str:
    """Return ``"text"`` or ``"category"`` if a learner needs category values, ``""`` if codes do.

    It needs values if its parameters list them, or if it selects columns by type; pandas categories
    if it selects that type.
    """
    found = ""
    for _, name, value in parts(learner):
        if name == "categories" and not isinstance(value, str) and value is not None:
            rows = value if isinstance(value, list | tuple) else list(value)
            if any(isinstance(one, str) for row in rows for one in row):
                found = found or "text"
        if type(value).__name__ == "make_column_selector":
            wanted = [value.dtype_include, value.dtype_exclude]
            if any(w is not None for w in wanted):
                found = "category" if "category" in repr(wanted) else found or "text"
    return found


def encodes_categories(learner: Any) -> bool:
    """Tell whether a part of a learner handles categories that it has not seen."""
    return any(
        name == "handle_unknown" or type(value).__name__.endswith("Encoder")
        for _, name, value in parts(learner)
    )


# -- classes and functions that cannot be imported ---------------------------------------------


def refuse_unimportable(learner: Any) -> None:
    """Raise if a class or function in a learner cannot be imported by its name.

    Raises
    ------
    ConfigurationError
        ``not_in_a_module``: it is defined in the running script or notebook, or inside a function,
        so that neither workers nor a program that loads the model can import it.
    """
    for _, _, value in parts(learner):
        kind = value if inspect.isroutine(value) or inspect.isclass(value) else type(value)
        name = getattr(kind, "__qualname__", "")
        module = getattr(kind, "__module__", None)
        if module != "__main__" and "<" not in name:
            continue
        what = "class" if inspect.isclass(kind) else "function"
        where = "in the script itself" if module == "__main__" else f"inside a function of {module}"
        raise ConfigurationError(
            "not_in_a_module",
            f"{type(learner).__name__} uses the {what} {name!r}, which is defined {where}: a model "
            "with it could not be loaded again.",
            "Define it at the top of a module such as my_module.py, import it from there, and "
            "send the module to the workers: spark.addArtifact('my_module.py', pyfile=True), or "
            f"--py-files my_module.py. Then trustedTypes=['my_module.{name.rpartition('.')[2]}'].",
        )
