"""A silo's own account of what its answers have cost its records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from sparkml_dist.federated.policy import refused
from sparkml_dist.federated.privacy.accountant import PrivacyAccountant
from sparkml_dist.federated.privacy.event import PrivacyEvent

if TYPE_CHECKING:
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.silo import Silo

_STATE = "privacy"


def spend(
    silo: Silo, request: Message, event: PrivacyEvent, delta: float = 1e-5, kind: str = "pld"
) -> float:
    """Count an event in the silo, before it happens, and return ε up to and with it.

    The silo keeps count in its state, for one run, and trusts no coordinator's. The returned value
    belongs into ``Answer(epsilon=…)``.

    Parameters
    ----------
    silo : Silo
    request : Message
        A request that comes again counts once.
    event : PrivacyEvent
    delta : float, default=1e-5
    kind : {"pld", "rdp"}, default="pld"

    Raises
    ------
    TrainingError
        ``privacy_budget_used_up`` above the largest ε of the policy; ``request_refused`` for a δ
        above one over the number of rows, which would allow to publish one of them.
    """
    if delta * max(1, silo.n_rows) > 1.0:
        raise refused(f"delta = {delta:g} is above one over its number of rows")
    held = silo.state.read(_STATE, before=request.round)
    if held is None:
        accountant = PrivacyAccountant(delta, silo.policy.most_epsilon, kind)
    else:
        accountant = PrivacyAccountant.from_dict(json.loads(held["spent"].tobytes()))
        if (accountant.delta, accountant.kind) != (delta, kind):
            raise refused(f"its account is for delta = {accountant.delta:g}, {accountant.kind}")
        accountant.budget = silo.policy.most_epsilon  # the owner may have changed it
    accountant.spend(event)
    text = json.dumps(accountant.to_dict()).encode()
    silo.state.write(_STATE, request.round, {"spent": np.frombuffer(text, np.uint8)})
    return accountant.epsilon
