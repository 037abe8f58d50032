"""Members of an ensemble, fitted inside a silo: only they leave it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block
from sparkml_dist.errors import DataError, TrainingError
from sparkml_dist.federated.answer import Answer, Declaration
from sparkml_dist.federated.ensembles.blocks import dense
from sparkml_dist.federated.work import SiloWork
from sparkml_dist.learners.fitting import fit_learner
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.persistence.learners import dump_learner, load_learner

if TYPE_CHECKING:
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["FitMembersWork", "known_learner", "member_name"]

_MOST_MEMBERS = 10_000


def member_name(index: int) -> str:
    """Return the name of a member's array in an answer."""
    return f"member-{index:05d}"


def known_learner(content: npt.NDArray[Any], schema: FederatedSchema) -> KnownLearner:
    """Return the learner in a message; only types of the allow-list are made from it.

    Parameters
    ----------
    content : ndarray of uint8
        Of `dump_learner`.
    schema : FederatedSchema

    Raises
    ------
    StorageError
        ``untrusted_type`` or ``damaged_member``.
    """
    learner = load_learner(content.tobytes(), "the request's learner")
    return KnownLearner.of(learner, schema.features, schema.classes)


class FitMembersWork(SiloWork):
    """Fits copies of a learner to bags of the silo's rows, and sends them in skops format.

    The request's array ``learner`` (uint8) is the unfitted learner; its facts are ``members`` (how
    many), ``bootstrap``, ``max_samples`` (share of the rows in a bag) and ``member_bytes`` (most
    bytes of a member). The answer has the members' bytes, and the facts ``rows`` and ``seconds``.

    A silo of several shards fits each member to one of them: member i to shard i, and again from
    the first one.
    """

    kind: ClassVar[str] = "fit_members"

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the names and largest sizes of the members."""
        number = min(int(request.facts["members"]), _MOST_MEMBERS)
        most = int(request.facts["member_bytes"])
        return Declaration(
            {member_name(i): ("u1", (most,)) for i in range(number)}, ("rows", "seconds")
        )

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Fit the members."""
        begun = time.perf_counter()
        known = known_learner(request.arrays["learner"], silo.schema)
        number = min(int(request.facts["members"]), _MOST_MEMBERS)
        rng = silo.rng(request)
        seeds = rng.integers(0, 2**31 - 1, number)
        shards = sum(1 for _ in silo.blocks())
        members: dict[str, npt.NDArray[Any]] = {}
        for shard, block in enumerate(silo.blocks()):
            for index in range(shard, number, shards):
                content = _member(known, block, request, int(seeds[index]))
                if len(content) > int(request.facts["member_bytes"]):
                    raise TrainingError(
                        "answer_refused",
                        f"A member has {len(content):,} bytes, and "
                        f"{int(request.facts['member_bytes']):,} may leave.",
                        "Take a smaller learner, or let members be larger (memberBytes).",
                    )
                members[member_name(index)] = np.frombuffer(content, np.uint8)
        seconds = round(time.perf_counter() - begun, 4)
        return Answer({"rows": silo.n_rows, "seconds": seconds}, members)


def _member(known: KnownLearner, block: Block, request: Message, seed: int) -> bytes:
    """Fit one member to a bag of a shard's rows."""
    traits = known.traits
    rng = np.random.default_rng(seed)
    size = max(1, round(float(request.facts["max_samples"]) * len(block)))
    if request.facts["bootstrap"]:
        chosen = np.sort(rng.integers(0, len(block), size))
    else:
        chosen = np.sort(rng.permutation(len(block))[:size])
    X: Any = block.X if traits.allows_sparse else dense(block.X)
    X = X[chosen].astype(traits.dtype, copy=False)
    if not traits.allows_missing and np.isnan(X.data if traits.allows_sparse else X).any():
        raise DataError(
            "missing_values",
            f"A silo's rows have missing values, which {traits.name} does not accept.",
            "Put an imputer before it: make_pipeline(SimpleImputer(), learner).",
        )
    weight = None
    if block.weight is not None and traits.weight_parameter:
        weight = block.weight[chosen]
    learner = known.prepared(seed, 1)
    fitted, _, _ = fit_learner(learner, X, block.y[chosen], weight, traits, block.key[chosen])
    return dump_learner(fitted)
