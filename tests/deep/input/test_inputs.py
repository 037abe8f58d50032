"""From the features of a row to a network's inputs: shapes, types, and what is refused."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.deep.input.inputs import InputPart, InputSpec
from sparkml_dist.errors import ConfigurationError, DataError

SCHEMA = FeatureSchema(
    (
        FeatureColumn("pixels", "array", 4),
        FeatureColumn("shop", "categorical", 1, ("a", "b", "c")),
        FeatureColumn("day", "numeric"),
        FeatureColumn("price", "numeric"),
    ),
    "dense",
)
X = np.array(
    [[0, 1, 2, 3, 2, 17, 9.5], [4, 5, 6, 255, np.nan, 30, np.nan]],
    np.float32,
)


def test_one_input_of_all_features():
    spec = InputSpec.build(SCHEMA)
    assert (spec.shape, spec.dtype, spec.is_single) == ((7,), "float32", True)
    np.testing.assert_array_equal(spec.take(X), X)
    assert InputSpec.build(SCHEMA, shape=[7, 1]).take(X).shape == (2, 7, 1)


@pytest.mark.parametrize("wrong", [[6], [0, 7], [], [-1, -7], [7, 2]])
def test_a_shape_that_does_not_hold_a_row(wrong):
    with pytest.raises(ConfigurationError, match=r"input_shape_differs.*all 7 features"):
        InputSpec.build(SCHEMA, shape=wrong)


def test_several_inputs():
    spec = InputSpec.build(
        SCHEMA,
        {
            "image": {"columns": "pixels", "shape": [2, 2, 1], "dtype": "uint8"},
            "shop": "shop",
            "rest": ["p*ice", "pixels[1]"],
            "day": {"columns": ["day"], "shape": [], "dtype": "int64"},
        },
    )
    found = spec.take(X)
    assert found["image"].tolist()[1] == [[[4], [5]], [[6], [255]]]
    assert found["shop"].tolist() == [[2], [3]]  # a category that is not known
    assert found["day"].tolist() == [17, 30]
    np.testing.assert_array_equal(found["rest"], [[9.5, 1], [np.nan, 5]])
    assert {k: str(v.dtype) for k, v in found.items()} == spec.dtype
    assert {k: v.shape[1:] for k, v in found.items()} == spec.shape
    assert spec.dtype == {"image": "uint8", "shop": "int32", "rest": "float32", "day": "int64"}
    assert spec.parts[1].vocabulary == 4
    assert spec.parts[2].vocabulary is None
    assert all(v.flags.c_contiguous for v in found.values())
    again = InputSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    zeros = spec.zeros(3)
    assert {k: v.shape for k, v in zeros.items()} == {k: (3, *s) for k, s in spec.shape.items()}


def test_moments_by_input():
    spec = InputSpec.build(SCHEMA, {"rest": ["price", "day"], "shop": "shop"})
    mean, std = spec.moments(np.arange(7.0), np.arange(7.0) + 10)["rest"]
    assert (mean.tolist(), std.tolist()) == ([6.0, 5.0], [16.0, 15.0])
    assert set(spec.moments(mean=np.zeros(7), std=np.ones(7))) == {"rest"}
    only = InputSpec.single(3, (3, 1)).moments(np.zeros(3), np.ones(3))
    assert [m.tolist() for m in only] == [[0] * 3, [1] * 3]


@pytest.mark.parametrize(
    ("inputs", "code", "message"),
    [
        ({}, "invalid_param", "a mapping"),
        (["shop"], "invalid_param", "a mapping"),
        ({"a": []}, "invalid_param", "one or more columns"),
        ({"a": {"shape": [1]}}, "invalid_param", "one or more columns"),
        ({"a": {"columns": "shop", "shapes": [1]}}, "invalid_param", "Did you mean 'shape'"),
        ({"a": {"columns": "shop", "dtype": "int33"}}, "invalid_param", "int32"),
        ({"a": {"columns": "pixels", "shape": [3]}}, "input_shape_differs", "input 'a'"),
        ({"a": "shap"}, "column_not_found", "Did you mean 'shop'"),
    ],
)
def test_inputs_that_are_refused(inputs, code, message):
    with pytest.raises((ConfigurationError, DataError), match=message) as raised:
        InputSpec.build(SCHEMA, inputs)
    assert raised.value.code == code


def test_inputs_and_a_shape():
    with pytest.raises(ConfigurationError, match="conflicting_params"):
        InputSpec.build(SCHEMA, {"a": "shop"}, [1])


@pytest.mark.parametrize(
    ("value", "dtype", "code"),
    [
        (np.nan, "int32", "input_missing"),
        (2.5, "int32", "input_not_whole"),
        (np.inf, "int32", "input_out_of_range"),
        (2.0**25, "int64", "input_out_of_range"),
        (2**24 + 1, "int32", "input_out_of_range"),  # float32 makes 2**24 of it
        (-1, "uint8", "input_out_of_range"),
        (256, "uint8", "input_out_of_range"),
    ],
)
def test_numbers_that_are_not_whole(value, dtype, code):
    part = InputPart("day", (0,), (1,), dtype, source="day")
    with pytest.raises(DataError, match=r"The input 'day' \(from day\)") as raised:
        part.take(np.array([[1], [value]], np.float32))
    assert raised.value.code == code


def test_missing_values_are_refused_before_anything_is_read():
    spec = InputSpec.build(SCHEMA, {"day": {"columns": "day", "dtype": "int32"}, "shop": "shop"})
    manifest = SimpleNamespace(schema=SCHEMA, missing_features=(4, 6))
    spec.check(manifest)
    with pytest.raises(DataError, match=r"'day' has missing values, but the input 'day'"):
        spec.check(SimpleNamespace(schema=SCHEMA, missing_features=(5,)))
