"""A pass of the fit of a linear model over one silo's rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sparkml_dist.cluster.sums.in_order import sum_in_order
from sparkml_dist.dataset.block import Block
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.statistics.agreed_columns import AgreedColumns, block_of
from sparkml_dist.federated.statistics.cells import enough_rows, least_count
from sparkml_dist.federated.statistics.glm_passes import PASSES, form_of, function_of
from sparkml_dist.federated.work import Answer, Declaration, SiloWork
from sparkml_dist.statistics.design import Design, missing_values

if TYPE_CHECKING:
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["GlmPassWork"]

_HANDLING = ("error", "skip", "mean")


class GlmPassWork(SiloWork):
    """Information, score and deviance at coefficients, and the other sums of a fit, in one silo.

    Asked with the facts ``pass`` (one of `PASSES`) with its settings, ``features`` (names),
    ``intercept``, ``offset``, ``handling``, ``dropped``, ``place`` (of the silo) and ``minimum``,
    and the arrays ``beta``, ``centre``, ``means`` and ``root``, as far as the pass needs them. The
    answer has the upper triangles of symmetric matrices, and all single numbers in one array. A
    silo with fewer complete rows than the minimum refuses.
    """

    kind: ClassVar[str] = "glm_pass"
    summable: ClassVar[bool] = True
    own_facts: ClassVar[tuple[str, ...]] = ("place",)

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shapes of the sums."""
        design, _ = _design(request, schema)
        form = form_of(request.facts, request.arrays, design)
        # Rows may have no likelihood: of a mean outside of the family's domain.
        return Declaration(form.declared(), finite=request.facts["pass"] != "likelihood")

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Add up the silo's rows."""
        facts, arrays = request.facts, request.arrays
        enough_rows(silo.n_rows, least_count(silo, facts))
        design, places = _design(request, silo.schema)
        form = form_of(facts, arrays, design)
        place = int(facts["place"])
        function = function_of(facts, design)
        parameters: list[Any] = [arrays.get(name) for name in PASSES[facts["pass"]]]
        if facts["pass"] == "shape":
            parameters[1] = float(parameters[1])
        blocks: Iterator[Block] = (block_of(block, places) for block in silo.blocks())
        if facts["pass"] == "triangle":
            sums = function(place, blocks, *parameters)
        else:
            if facts["pass"] == "silo_scores":
                blocks = (replace(b, key=np.full(len(b), place)) for b in blocks)
            elif facts["pass"] == "means":
                blocks = map(_with_categories(design), blocks)
            sums = sum_in_order(function(block, *parameters) for block in blocks)
        if facts["pass"] == "moments":
            enough_rows(int(sums["used"]) if sums else 0, least_count(silo, facts))
        return Answer(arrays=form.encode(sums))


def _design(request: Message, schema: FederatedSchema) -> tuple[Design, list[int]]:
    """Return the design that a request describes, and the places of its features in blocks."""
    facts, arrays = request.facts, request.arrays
    features, places = AgreedColumns(schema).chosen(facts["features"])
    handling, offset = facts["handling"], facts["offset"]
    if handling not in _HANDLING:
        raise ConfigurationError(
            "invalid_param", f"handling must be one of {', '.join(_HANDLING)}. Got {handling!r}."
        )
    design = Design.of(
        features, intercept=bool(facts["intercept"]), offset=offset, handling=handling
    )
    return (
        replace(
            design,
            means=tuple(arrays["means"].tolist()) if "means" in arrays else (),
            centre=tuple(arrays["centre"].tolist()) if "centre" in arrays else (),
            dropped=tuple(int(d) for d in facts.get("dropped", ())),
        ),
        places,
    )


def _with_categories(design: Design) -> Any:
    """Return a check that no category is missing, which has no mean."""
    listed = [i for i, categories in enumerate(design.categories) if categories]

    def checked(block: Block) -> Block:
        for i in listed:
            if np.isnan(block.X[:, i]).any():
                raise missing_values([design.names[i]])
        return block

    return checked
