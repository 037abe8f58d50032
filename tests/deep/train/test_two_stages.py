"""The example of two stages over process sets against one process with the whole network."""

from __future__ import annotations

import numpy as np
import pytest

from tests.deep.by_hand import ranks_by_hand


@pytest.fixture(scope="module")
def ranks():
    return ranks_by_hand(4, "tests.deep.on_ranks_stages", "run")


@pytest.mark.long
def test_two_stages_of_two_ranks_are_one_network(ranks):
    wanted = ranks[0]["wanted"]
    assert [rank["stage"] for rank in ranks] == [0, 0, 1, 1]
    for rank in ranks:
        for found, expected in zip(rank["weights"], wanted["weights"][rank["stage"]], strict=True):
            np.testing.assert_allclose(found, expected, atol=2e-6)
    losses = np.mean([rank["losses"] for rank in ranks[2:]], axis=0)
    # Keras tells the running mean, begun anew with each of these batches.
    np.testing.assert_allclose(losses, wanted["losses"], rtol=1e-5)
    assert losses[-1] < losses[0]
