"""What deserves attention about a label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["label_alerts"]

_FEW_ROWS, _SMALL_SHARE = 10, 0.01
# Many learners take labels in single precision, whose steps are 6e-8 of a number.
_FAR_FROM_ZERO = 1e4


def label_alerts(label: Mapping[str, Any], rows: int) -> list[str]:
    """Return the alerts of a label, as phrases.

    Parameters
    ----------
    label : mapping
        The label's column of a `Profile`, with up to 32 frequent values.
    rows : int
    """
    found = []
    if label["missing"]:
        found.append(f"is missing in {label['missing']:,} of {rows:,} rows")
    mean, deviation = label.get("mean"), label.get("sd")
    if mean is not None and deviation and abs(mean) > _FAR_FROM_ZERO * deviation:
        found.append(
            f"lies far from zero beside its deviation of {deviation:.3g}: subtract {mean:.6g} from "
            "it, since many learners round to single precision"
        )
    frequent, distinct = label.get("frequent", []), label.get("distinct", 0)
    is_number = label["kind"] == "number" and "int" not in label["type"]
    if label["kind"] != "boolean" and not is_number and distinct > max(32, label["count"] / 2):
        found.append("nearly all values are distinct: is it an identifier?")
    elif label.get("distinct_is_exact") and 2 <= distinct == len(frequent):
        least = min(frequent, key=lambda value: value["count"])
        if least["count"] < _FEW_ROWS or least["count"] < _SMALL_SHARE * label["count"]:
            found.append(
                f"its rarest value {least['value']} has {least['count']:,} of "
                f"{label['count']:,} rows"
            )
    return found
