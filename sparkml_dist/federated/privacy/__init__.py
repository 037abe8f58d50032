"""What keeps a federation's silos and records from being read out of its messages.

Secure sums hide the parts of a sum from the coordinator. Noise, counted by one accountant, hides
records or silos in what is published. Each says in its docstring what it stands against.
"""

from sparkml_dist.federated.privacy.accountant import PrivacyAccountant, calibrated_noise
from sparkml_dist.federated.privacy.event import PrivacyEvent
from sparkml_dist.federated.privacy.noise import NoiseSource
from sparkml_dist.federated.privacy.perturbation import Perturbation, sum_sensitivity
from sparkml_dist.federated.privacy.record_privacy import RecordPrivacy
from sparkml_dist.federated.privacy.secure_sum import SecureSum
from sparkml_dist.federated.privacy.silo_privacy import AdaptiveClipping, SiloPrivacy

__all__ = [
    "AdaptiveClipping",
    "NoiseSource",
    "Perturbation",
    "PrivacyAccountant",
    "PrivacyEvent",
    "RecordPrivacy",
    "SecureSum",
    "SiloPrivacy",
    "calibrated_noise",
    "sum_sensitivity",
]
