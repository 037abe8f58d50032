"""The works of the first rounds: what data a silo has, and whether they fit what was agreed."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sparkml_dist.federated.message import Message, damaged
from sparkml_dist.federated.schema import FederatedSchema
from sparkml_dist.federated.silo import Silo
from sparkml_dist.federated.work import Answer, Declaration, SiloWork

__all__ = ["AgreeWork", "RowsWork", "SchemaWork"]

_SCHEMA_BYTES = 16 << 20


class SchemaWork(SiloWork):
    """Tells the columns, categories and classes of a silo; no values of rows."""

    kind: ClassVar[str] = "schema"
    agreed: ClassVar[bool] = False

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:  # noqa: D102
        return Declaration(facts=("schema",), fact_bytes=_SCHEMA_BYTES)

    def answer(self, silo: Silo, request: Message) -> Answer:  # noqa: D102
        return Answer({"schema": silo.own_schema.to_dict()})


class AgreeWork(SiloWork):
    """Takes the agreed schema, and tells the number of rows where the policy allows it."""

    kind: ClassVar[str] = "agree"
    agreed: ClassVar[bool] = False

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:  # noqa: D102
        return Declaration(facts=("rows",))

    def answer(self, silo: Silo, request: Message) -> Answer:  # noqa: D102
        try:
            schema = FederatedSchema.from_dict(request.facts["schema"])
        except (KeyError, TypeError, ValueError) as error:
            raise damaged("it holds no schema") from error
        silo.accept(schema)
        return Answer({"rows": silo.n_rows} if silo.policy.tell_rows else {})


class RowsWork(SiloWork):
    """Counts rows and, for a classification, the rows of each class."""

    kind: ClassVar[str] = "rows"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:  # noqa: D102
        return Declaration({"rows": ("f8", (1,)), "class_rows": ("f8", (schema.n_classes,))})

    def answer(self, silo: Silo, request: Message) -> Answer:  # noqa: D102
        classes = np.zeros(silo.schema.n_classes)
        rows = 0
        for block in silo.blocks():
            rows += len(block)
            if len(classes):
                classes += np.bincount(block.y, minlength=len(classes))
        return Answer(arrays={"rows": np.array([float(rows)]), "class_rows": classes})
