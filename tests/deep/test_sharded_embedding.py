"""Tables shared out among ranks against Keras' own embedding in one process."""

from __future__ import annotations

import numpy as np
import pytest

from tests.deep.by_hand import ranks_by_hand
from tests.deep.on_ranks_embedding import COLUMNS, OPTIMIZERS, ROWS

MODULE = "tests.deep.on_ranks_embedding"


@pytest.fixture(scope="module", params=[3], ids=["3 ranks"])
def ranks(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    found = ranks_by_hand(request.param, MODULE, "run", MODEL_PATH=str(path))
    return found, path


@pytest.fixture(scope="module")
def loaded(ranks):
    return ranks_by_hand(1, MODULE, "load", MODEL_PATH=str(ranks[1]))[0]


@pytest.fixture(scope="module")
def groups():
    return ranks_by_hand(4, MODULE, "run_groups", HOROVOD_DYNAMIC_PROCESS_SETS="1")


def test_rows_are_those_of_the_table(ranks):
    assert all(all(rank["forward"]) for rank in ranks[0])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_is_that_of_one_process_on_the_whole_batch(ranks, optimizer):
    found = [rank["train"][optimizer] for rank in ranks[0]]
    assert sum(rank["own_rows"] for rank in found) == ROWS
    assert all(r["parameters"] == (ROWS - r["own_rows"]) * COLUMNS for r in found)
    assert len({rank["sha256"] for rank in found}) == 1
    assert found[0]["moved"] > 0.01
    assert found[0]["gap"] < 2e-6
    assert found[0]["slots"] < 2e-6


def test_the_first_table_does_not_depend_on_the_ranks(ranks, loaded):
    assert ranks[0][0]["table"] == loaded["table"]


def test_tables_and_their_optimizer_state_are_marked(ranks):
    for rank in ranks[0]:
        weights, slots = rank["marks"]
        assert weights == ["table/embeddings"]
        assert len(slots) == 2
        assert all("table_embeddings" in path for path in slots)


def test_ids_outside_the_table_are_named(ranks, loaded):
    for found in (*(rank["outside"] for rank in ranks[0]), loaded["outside"]):
        assert len(found) == 2
        for message in found:
            assert f"layer table takes ids from 0 to {ROWS - 1}. Got: [{ROWS} -1]" in message


def test_optimizers_that_look_at_all_rows_are_refused(ranks):
    for rank in ranks[0]:
        assert rank["refused"][0] == "sharded_optimizer"
        assert "Lamb" in rank["refused"][1]


def test_a_rank_does_not_save_its_part_as_the_whole(ranks):
    for rank in ranks[0]:
        assert rank["alone"][0] == "sharded_table"


def test_the_saved_file_is_that_of_one_process(ranks, loaded):
    first = ranks[0][0]["saved"]
    assert first["entries"] == ["config.json", "metadata.json", "model.weights.h5"]
    assert first["left"] == ["model.keras"]
    assert loaded["layer"] == "ShardedEmbedding"
    assert loaded["tables"] == first["tables"]
    for rank in ranks[0]:
        np.testing.assert_allclose(rank["saved"]["predictions"], loaded["predictions"], atol=1e-6)


def test_a_loaded_model_can_do_without_the_layer(loaded):
    assert loaded["plain_layer"].startswith("keras.")
    assert loaded["plain_predictions"] == loaded["predictions"]


@pytest.mark.long
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_groups_of_ranks_with_a_table_each(groups, optimizer):
    found = [rank["train"][optimizer] for rank in groups]
    assert [rank["own_rows"] for rank in found] == [27, 26, 27, 26]
    assert found[0]["gap"] < 2e-6
    assert all(rank["place"][0] == rank["place"][1] for rank in groups)


@pytest.mark.long
def test_groups_must_fit_the_ranks(groups):
    code, message = groups[0]["refused"]
    assert code == "invalid_param"
    assert "'table'" in message


class _Initializer:
    """Stands in for one of Keras', which the driver does not import."""

    def __init__(self, kind, **config):
        self.__class__ = type(kind, (_Initializer,), {})
        self.__dict__.update(config)

    def get_config(self):
        return self.__dict__


@pytest.mark.parametrize(
    ("initializer", "low", "high", "std"),
    [
        (_Initializer("RandomUniform", minval=-1.0, maxval=3.0), -1, 3, 4 / 12**0.5),
        (_Initializer("RandomNormal", mean=0.0, stddev=2.0), -12, 12, 2.0),
        (_Initializer("TruncatedNormal", mean=0.0, stddev=1.0), -2, 2, 0.8796),
        (
            _Initializer("HeNormal", scale=2.0, mode="fan_in", distribution="truncated_normal"),
            -1,
            1,
            (2 / 5000) ** 0.5,
        ),
        (_Initializer("Constant", value=0.5), 0.5, 0.5, 0.0),
    ],
)
def test_initial_rows_have_the_initializer_s_distribution(initializer, low, high, std):
    from sparkml_dist.deep.embedding.initial import initial_rows
    from sparkml_dist.deep.embedding.marks import Shard

    whole = initial_rows(initializer, Shard(5000, 0, 1), 16, 7)
    assert low <= whole.min() <= whole.max() <= high
    assert whole.std() == pytest.approx(std, rel=0.02)
    np.testing.assert_array_equal(initial_rows(initializer, Shard(5000, 2, 3), 16, 7), whole[2::3])
    if std:
        assert abs(np.corrcoef(whole[:-1].ravel(), whole[1:].ravel())[0, 1]) < 0.02
        assert (initial_rows(initializer, Shard(5000, 0, 1), 16, 8) != whole).all()


def test_other_initializers_are_refused():
    from sparkml_dist.deep.embedding.initial import initial_rows
    from sparkml_dist.deep.embedding.marks import Shard
    from sparkml_dist.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="Orthogonal"):
        initial_rows(_Initializer("Orthogonal"), Shard(ROWS, 0, 1), COLUMNS, 0)
