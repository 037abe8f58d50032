"""Rounds in one process: schemas, faults of silos, policies, ledgers on both sides, resuming."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from sparkml_dist.dataset import Block
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.federated import Answer, Federation, SiloPolicy
from sparkml_dist.federated.answering import answer_request
from sparkml_dist.federated.ledger_page import ledger_page
from sparkml_dist.federated.local_sites import local_sites
from sparkml_dist.federated.message import Message
from sparkml_dist.federated.schema_works import RowsWork
from sparkml_dist.federated.silo_state import SiloState
from sparkml_dist.federated.table_data import TableData, open_silo_data
from sparkml_dist.federated.work import Declaration
from sparkml_dist.federated.works import WORKS, work_of
from sparkml_dist.persistence.filesystem import Folder

ROWS = {
    "a": (np.arange(8.0).reshape(4, 2), ["no", "yes", "no", "no"]),
    "b": (np.ones((3, 2)), ["yes", "maybe", "yes"]),
    "c": (np.zeros((2, 2)), ["no", "no"]),
}
LOCAL = {
    "regression": False,
    "names": None,
    "label": "label",
    "classes": None,
    "categories": None,
    "policy": None,
    "seed": 0,
    "folder": None,
}


def code_of(call):
    with pytest.raises(SparkMLDistError) as caught:
        call()
    return caught.value.code


def test_silos_agree_and_add_up():
    federation = Federation.in_memory({**ROWS, "empty": (np.empty((0, 2)), [])})
    assert federation.schema.classes == ["maybe", "no", "yes"]
    assert federation.schema.rows == {"a": 4, "b": 3, "c": 2, "empty": 0}
    summed = federation.sum("rows")
    assert summed.silos == ["a", "b", "c", "empty"] and not summed.failed
    assert summed.arrays["rows"].tolist() == [9.0]
    assert summed.arrays["class_rows"].tolist() == [1.0, 5.0, 3.0]
    some = federation.ask("rows", silos=["c", "a"])
    assert [(n, a.arrays["rows"].tolist()) for n, a in some] == [("a", [4.0]), ("c", [2.0])]
    assert code_of(lambda: federation.ask("rows", silos=["d"])) == "unknown_silo"
    assert code_of(lambda: federation.ask("os.system")) == "unknown_work"
    assert code_of(lambda: federation.sum("schema")) == "invalid_param"


def test_columns_categories_and_classes_come_in_one_order():
    north = pd.DataFrame({"x": [1.5, 2.5], "c": ["v", None], "y": [2, 1]})
    south = pd.DataFrame({"y": [3.0, 1.0], "c": ["u", "v"], "x": [3, 4], "more": [0, 0]})
    data = {
        "north": TableData(north, label="y", categorical=["c"]),
        "south": TableData(south, label="y", categorical=["c"]),
    }
    assert code_of(lambda: Federation.in_memory(data).schema) == "silos_differ"
    for columns in ("common", ["x", "c"]):
        federation = Federation.in_memory(data, columns=columns)
        assert federation.schema.feature_names == ["x", "c"]
        assert federation.schema.classes == [1.0, 2.0, 3.0]
        blocks = {n: next(s.silo(federation.run).blocks()) for n, s in sites(federation).items()}
        np.testing.assert_array_equal(blocks["north"].X, [[1.5, 1], [2.5, np.nan]])
        np.testing.assert_array_equal(blocks["south"].X, [[3, 0], [4, 1]])
        assert blocks["north"].y.tolist() == [1, 0] and blocks["south"].y.tolist() == [2, 0]


def sites(federation):
    return federation._backend.sites


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ((np.zeros((2, 3)), ["no", "no"]), "'x2'"),
        ((np.zeros((2, 1)), ["no", "no"]), "'x1'"),
        ((np.zeros((2, 2)), [0, 1]), "'integer'"),
        ((np.zeros((2, 2)), ["no", "no"], [1.0, 1.0]), "weight"),
    ],
)
def test_what_does_not_fit_is_named_or_left_out(other, named):
    rows = {**ROWS, "odd": other}
    with pytest.raises(SparkMLDistError, match="odd") as caught:
        _ = Federation.in_memory(rows).schema
    assert caught.value.code == "silos_differ" and named in caught.value.message
    federation = Federation.in_memory(rows, strict=False)
    assert federation.sum("rows").silos == ["a", "b", "c"]
    assert set(federation.left_out) == {"odd"}


def raises(answer, request):
    raise OSError("the disk is gone")


@pytest.mark.parametrize(
    ("altered", "code"),
    [
        (lambda answer: {"rows": np.array([np.nan])}, "answer_refused"),
        (lambda answer: {"rows": np.array([1.0, 2.0])}, "answer_refused"),
        (lambda answer: {"rows": np.array([[1.0]])}, "answer_refused"),
        (lambda answer: {"rows": np.array([1], np.int32)}, "answer_refused"),
        (lambda answer: {"rows": np.array([1.0]), "X": np.zeros(2)}, "answer_refused"),
        (lambda answer: {"class_rows": np.zeros(3)}, "answer_refused"),
        (None, "silo_failed"),
    ],
)
def test_garbage_of_one_silo_does_not_end_the_round(altered, code):
    def alter(answer, request):
        if request.kind != "rows":
            return answer
        if altered is None:
            raise OSError("the disk is gone")
        arrays = altered(answer)
        return Answer(arrays=arrays if "X" in arrays or "class_rows" in arrays
                      else {**answer.arrays, **arrays})  # fmt: skip

    federation = Federation.in_memory(ROWS, alter={"b": alter})
    summed = federation.sum("rows")
    assert summed.silos == ["a", "c"] and summed.failed["b"].code == code
    assert summed.arrays["rows"].tolist() == [6.0]
    audit = federation.audit()
    assert audit.loc[audit.refused != "", ["silo", "refused"]].values.tolist() == [["b", code]]
    assert code_of(lambda: federation.sum("rows", minimum=3)) == "too_few_silos"
    assert federation.sum("rows").silos == ["a", "c"]  # and the federation goes on


def test_rows_cannot_leave_by_accident(monkeypatch):
    def leak(self, silo, request):
        block = next(silo.blocks())
        return Answer({"first": block.X[0].tolist()}, {"rows": block.X})

    monkeypatch.setattr(RowsWork, "answer", leak)
    federation = Federation.in_memory(ROWS)
    with pytest.raises(SparkMLDistError, match="answer_refused"):
        federation.sum("rows")
    own = federation.ledger("a")
    assert own.iloc[-1].refused == "answer_refused" and own.iloc[-1].arrays == ""
    monkeypatch.setattr(
        RowsWork, "declare", lambda *_: Declaration({"rows": ("f8", (9, 9))}, ("first",))
    )
    monkeypatch.setattr(RowsWork, "summable", False)
    small = SiloPolicy(most_bytes=50)
    federation = Federation.in_memory(ROWS, policy={"a": small})
    assert federation.ask("rows").failed["a"].code == "request_refused"


def test_policies_of_silos():
    def failed(**policy):
        federation = Federation.in_memory(ROWS, policy={"b": SiloPolicy(**policy)})
        return {n: f.code for n, f in federation.ask("rows").failed.items()}

    assert failed() == {}
    for policy in ({"kinds": frozenset()}, {"secure_only": True}, {"most_rounds": 2}):
        assert failed(**policy) == {"b": "request_refused"}
    few = Federation.in_memory(ROWS, policy=SiloPolicy(least_rows=3), strict=False)
    assert few.sum("rows").silos == ["a", "b"]
    assert "request_refused" in few.left_out["c"]
    quiet = Federation.in_memory(ROWS, policy=SiloPolicy(tell_rows=False))
    assert quiet.schema.rows == {}
    assert SiloPolicy.from_dict({"kinds": ["rows"]}).kinds == frozenset({"rows"})
    for wrong in ([], {"kind": []}, {"most_bytes": -1}, {"secure_only": 1}, {"kinds": "rows"}):
        assert code_of(lambda wrong=wrong: SiloPolicy.from_dict(wrong)) == "invalid_param"


def test_epsilon_is_counted_and_bounded(monkeypatch):
    plain = RowsWork.answer
    monkeypatch.setattr(
        RowsWork,
        "answer",
        lambda self, silo, request: dataclasses.replace(
            plain(self, silo, request), epsilon=0.5 * request.round
        ),
    )
    federation = Federation.in_memory(ROWS, policy=SiloPolicy(most_epsilon=1.5))
    federation.sum("rows")
    federation.sum("rows")
    assert code_of(lambda: federation.sum("rows")) == "too_few_silos"
    audit = federation.audit()
    assert audit[audit.direction == "answer"].epsilon.dropna().tolist() == [1.0] * 3 + [1.5] * 3


def test_another_run_is_no_other_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(RowsWork, "answer", lambda *_: Answer(epsilon=0.6))
    monkeypatch.setattr(RowsWork, "summable", False)
    monkeypatch.setattr(RowsWork, "agreed", False)
    policy = SiloPolicy(most_epsilon=1.5, most_runs=3)
    (site,) = local_sites(
        {"a": ROWS["a"]}, **{**LOCAL, "folder": str(tmp_path), "policy": policy}
    ).values()

    def code(run, number):
        reply = answer_request(site, Message("rows", number, "coordinator", run=run).pack())
        return Message.unpack(reply).facts.get("code", "")

    assert [code("a", 0), code("a", 1), code("b", 0)] == ["", "", ""]
    assert code("c", 0) == "request_refused"  # 1.8 would be spent
    assert code("a", 2) == ""
    site.policy = SiloPolicy(most_runs=3)
    assert [code("c", 1), code("d", 0)] == ["", "request_refused"]
    assert site.spent() == {"a": 0.6, "b": 0.6, "c": 0.6}


def test_both_ledgers_hold_each_message():
    federation = Federation.in_memory(ROWS)
    federation.sum("rows")
    federation.ask("rows", {"hint": 1}, own={"a": ({"mine": 2}, {"x": np.zeros(3)})})
    audit = federation.audit()
    facts = ["kind", "direction", "bytes", "arrays", "facts", "checksum"]
    for name in ROWS:
        mine = audit[audit.silo == name].sort_values(["round", "direction"], ascending=False)
        own = federation.ledger(name).sort_values(["round", "direction"], ascending=False)
        assert own[facts].values.tolist() == mine[facts].values.tolist()
    asked = audit[(audit["round"] == 3) & (audit.direction == "request")].set_index("silo")
    assert asked.loc["a", "arrays"] == "x f8[3]" and asked.loc["b", "arrays"] == ""
    assert asked.loc["a", "facts"] == "hint, mine"
    page = ledger_page(audit.assign(silo=audit.silo.replace("a", "<script>a")))
    assert "<script>" not in page and "&lt;script&gt;a" in page and "class_rows f8[3]" in page


def test_a_run_goes_on_where_it_was(tmp_path, monkeypatch):
    def program(rounds):
        federation = Federation.in_memory(ROWS, folder=str(tmp_path))
        for number in range(rounds):
            asked = federation.ask("rows", {"number": number})
            totals = [answer.arrays["rows"][0] for _, answer in asked]
        return federation, totals, federation.sum("rows").arrays["rows"].tolist()

    first, *found = program(3)
    assert found == [[4.0, 3.0, 2.0], [9.0]]
    monkeypatch.setattr(RowsWork, "answer", raises)  # nobody is asked again
    again, *found = program(3)
    assert found == [[4.0, 3.0, 2.0], [9.0]] and again.run == first.run
    pd.testing.assert_frame_equal(again.audit(), first.audit())
    other = Federation.in_memory(ROWS, folder=str(tmp_path))
    assert code_of(lambda: other.ask("rows", {"number": 7})) == "plan_differs"
    fewer = {"a": ROWS["a"]}
    assert (
        code_of(lambda: Federation.in_memory(fewer, folder=str(tmp_path)).schema) == "plan_differs"
    )
    tmp_path.joinpath("federation.json").write_text("[]")
    assert code_of(lambda: Federation.in_memory(ROWS, folder=str(tmp_path))) == "altered_manifest"


def test_a_silo_answers_one_request_in_a_round(tmp_path):
    (site,) = local_sites({"a": ROWS["a"]}, **{**LOCAL, "folder": str(tmp_path)}).values()

    def reply(number, kind="schema", **facts):
        data = Message(kind, number, "coordinator", facts, run="r").pack()
        return answer_request(site, data, keep_reply=True)

    first = reply(3)
    assert reply(3) == first
    for repeated in (reply(3, other=1), reply(2)):
        assert Message.unpack(repeated).facts["code"] == "round_repeated"
    assert Message.unpack(reply(4)).kind == "schema"
    assert Message.unpack(reply(5, "rows")).facts["code"] == "request_refused"  # nothing agreed
    assert Message.unpack(answer_request(site, b"garbage")).facts["code"] == "message_damaged"
    large = Message("schema", 6, "coordinator", arrays={"x": np.zeros(100)}, run="r").pack()
    site.policy = SiloPolicy(most_request_bytes=500)
    assert Message.unpack(answer_request(site, large)).facts["code"] == "message_damaged"


def test_draws_are_of_the_silo_and_the_round():
    one, other = local_sites({n: ROWS[n] for n in "ab"}, **LOCAL).values()
    (secret,) = local_sites({"a": ROWS["a"]}, **{**LOCAL, "seed": None}).values()

    def draw(site, number=1, kind="k", run="r"):
        return site.silo(run).rng(Message(kind, number, "c", run=run)).random()

    assert draw(one) == draw(one) == draw(one, run="other")
    assert len({draw(one), draw(other), draw(one, 2), draw(one, kind="l"), draw(secret)}) == 5
    assert draw(secret) == draw(secret) != draw(secret, run="other")


@pytest.mark.parametrize("on_disk", [False, True])
def test_states_are_versions_by_round(tmp_path, on_disk):
    state = SiloState(Folder.at(tmp_path) if on_disk else None)
    assert state.read("c", before=5) is None
    for number in (1, 2, 4, 5):
        state.write("c", number, {"x": np.full(2, float(number))})
    state.write("d", 1, {})
    assert state.read("c", before=5)["x"].tolist() == [4.0, 4.0]
    assert state.read("c", before=3)["x"].tolist() == [2.0, 2.0]
    assert state.read("c", before=2) is None  # three versions are kept
    with pytest.raises(ValueError):
        state.write("../x", 1, {})


def test_blocks_weights_and_tables(tmp_path):
    block = Block(np.ones((2, 1)), np.array([1, 0]), None, np.arange(2))
    federation = Federation.in_memory({"a": block}, classes=["n", "y"], names=["f"])
    assert federation.sum("rows").arrays["class_rows"].tolist() == [1.0, 1.0]
    assert code_of(lambda: Federation.in_memory({"a": block})) == "invalid_param"
    assert code_of(lambda: Federation.in_memory({})) == "invalid_param"
    assert code_of(lambda: Federation.in_memory({"a\n": ROWS["a"]})) == "invalid_param"
    assert code_of(lambda: Federation.in_memory({"a": (np.ones(3), [1])})) == "input_not_taken"
    frame = pd.DataFrame({"a": [1.0, 2.0], "t": ["x", "y"], "y": [0.5, 1.0], "w": [1.0, 2.0]})
    frame.to_parquet(tmp_path / "t.parquet")
    data = open_silo_data(tmp_path, label="y", categorical=["t"], weight="w", regression=True)
    (read,) = data.blocks()
    assert read.weight.tolist() == [1.0, 2.0] and read.y.tolist() == [0.5, 1.0]
    assert data.n_rows == 2 and data.schema.feature_names == ["a", "t"]
    assert code_of(lambda: TableData(frame, label="z")) == "column_not_found"
    assert code_of(lambda: TableData(frame, label="y")) == "non_numeric_feature"
    assert code_of(lambda: TableData(tmp_path / "none.csv", label="y")) == "file_not_read"


def test_every_work_has_its_own_kind():
    for kind in WORKS:
        assert work_of(kind).kind == kind
