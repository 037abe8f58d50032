"""Labels that do not belong to the classes of a data set."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sparkml_dist.dataset.labels import Label
from sparkml_dist.errors import DataError


def test_codes_are_places_among_the_classes():
    assert Label("state", "string", ("bad", "good")).encode(pa.array(["good", "bad"])).tolist() == [
        1,
        0,
    ]


@pytest.mark.parametrize(
    ("label", "values", "stranger"),
    [
        (Label("state", "string", ("bad", "good")), ["good", "fair", "odd"], "'fair'"),
        (Label("state", "integer", (0, 2)), [2, 1], "1"),
        (Label("state", "number", (0.5, 1.0)), [1.0, 0.25], "0.25"),
    ],
)
def test_a_label_that_is_no_class_is_named(label, values, stranger):
    with pytest.raises(DataError, match="unknown_label") as caught:
        label.encode(pa.array(values))
    assert f"'state' holds {stranger}, which is not one of the 2 classes" in caught.value.message
    with pytest.raises(DataError, match="label_null"):
        label.encode(pa.array([values[0], None]))
