"""Works: what a silo does for a coordinator, by name, and what each may send back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from sparkml_dist.federated.answer import Answer, Declaration

if TYPE_CHECKING:
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["Answer", "Declaration", "SiloWork"]


class SiloWork(ABC):
    """One kind of work in a silo. Stateless: what it keeps between rounds is in ``silo.state``.

    Attributes
    ----------
    kind : str
        Its name, by which `sparkml_dist.federated.works` finds it.
    summable : bool
        Whether every array may be added up over silos, so that a secure sum may be asked.
    own_facts : tuple of str
        Facts that may differ from silo to silo in a secure sum, because they say nothing of what is
        summed.
    agreed : bool
        Whether it needs the schema on which the silos have agreed. Only the works of the first
        two rounds do not.
    """

    kind: ClassVar[str]
    summable: ClassVar[bool] = False
    own_facts: ClassVar[tuple[str, ...]] = ()
    agreed: ClassVar[bool] = True

    @abstractmethod
    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return what the answer to a request may hold."""

    @abstractmethod
    def answer(self, silo: Silo, request: Message) -> Answer:
        """Do the work on the silo's rows and return the answer.

        A request that comes twice must give the same answer: draw from ``silo.rng(request)`` and
        read the state of earlier rounds (``silo.state.read(name, before=request.round)``).
        """
