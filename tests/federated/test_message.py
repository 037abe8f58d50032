"""Messages: what goes in comes out, and what is damaged, forged or too large is refused."""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.federated import Message
from sparkml_dist.federated.message import ARRAY_TYPES

TYPES = st.sampled_from([np.dtype(f"<{code}") for code in ARRAY_TYPES])
ARRAYS = st.dictionaries(
    st.text(max_size=5),
    hnp.arrays(TYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)),
    max_size=3,
)
FACTS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)  # fmt: skip


@given(FACTS, ARRAYS, st.integers(0, 2**40))
def test_a_message_comes_out_as_it_went_in(facts, arrays, number):
    sent = Message("work", number, "a silo", facts, arrays, "run")
    got = Message.unpack(sent.pack())
    assert (got.kind, got.round, got.sender, got.run) == ("work", number, "a silo", "run")
    assert got.facts == facts and list(got.arrays) == list(arrays)
    for name, array in arrays.items():
        assert got.arrays[name].dtype == array.dtype and got.arrays[name].shape == array.shape
        assert got.arrays[name].tobytes() == array.tobytes()


def signed(head, content=b""):
    text = json.dumps(head).encode() if isinstance(head, dict) else head
    body = b"SMLFED1\n" + struct.pack("<Q", len(text)) + text + content
    return body + hashlib.sha256(body).digest()


HEAD = {"kind": "a", "round": 0, "sender": "s", "run": "", "facts": {}, "arrays": []}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SMLFED1\n",
        signed(b"{"),
        signed(b"[" * 100_000),
        signed({**HEAD, "round": -1}),
        signed({**HEAD, "round": True}),
        signed({**HEAD, "sender": 3}),
        signed({**HEAD, "facts": []}),
        signed(json.dumps({**HEAD, "facts": {"a": float("nan")}}).encode()),
        signed({k: v for k, v in HEAD.items() if k != "run"}),
        signed(HEAD, b"rest"),
        signed({**HEAD, "arrays": [["x", "O", [1]]]}, b"12345678"),
        signed({**HEAD, "arrays": [["x", "f8", [2]]]}, b"12345678"),
        signed({**HEAD, "arrays": [["x", "f8", [1 << 61]]]}, b"12345678"),
        signed({**HEAD, "arrays": [["x", "f8", [-1]]]}, b"12345678"),
        signed({**HEAD, "arrays": [["x", "f8", [0, 1 << 60]], ["x", "u1", [1]]]}, b"1"),
        signed({**HEAD, "arrays": [["x", "b1", [1]]]}, b"\x02"),
        signed({**HEAD, "arrays": [["x", "u1", [1] * 9]]}, b"1"),
        signed({**HEAD, "arrays": 7}),
        signed({**HEAD, "arrays": [[["x"], "u1", [1]]]}, b"1"),
        b"SMLFED1\n" + struct.pack("<Q", 1 << 60) + bytes(100),
    ],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(SparkMLDistError) as caught:
        Message.unpack(data)
    assert caught.value.code == "message_damaged"


def test_each_altered_or_missing_byte_is_noticed():
    data = Message("sum", 3, "north", {"n": 1}, {"x": np.arange(3.0)}).pack()
    damaged = [data[:n] for n in range(len(data))]
    damaged += [data[:n] + bytes([data[n] ^ 1]) + data[n + 1 :] for n in range(len(data))]
    for content in damaged:
        with pytest.raises(SparkMLDistError, match="message_damaged"):
            Message.unpack(content)


def test_a_message_has_a_limit_and_no_objects():
    data = Message("a", 0, "s", arrays={"x": np.zeros(1000)}).pack()
    with pytest.raises(SparkMLDistError, match="more than the 8,000"):
        Message.unpack(data, 8000)
    for wrong in (np.array(["text"]), np.array([object()]), np.zeros(1, complex)):
        with pytest.raises(SparkMLDistError, match="has the type"):
            Message("a", 0, "s", arrays={"x": wrong}).pack()
    for fact in (float("inf"), object(), b"bytes"):
        with pytest.raises(SparkMLDistError, match="not JSON"):
            Message("a", 0, "s", {"x": fact}).pack()
