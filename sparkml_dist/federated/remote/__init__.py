"""Silos on other machines: a coordinator's server over TLS, and silos that poll it."""

from sparkml_dist.federated.remote.certificates import make_certificates
from sparkml_dist.federated.remote.coordinator import Coordinator
from sparkml_dist.federated.remote.silo_process import run_silo

__all__ = ["Coordinator", "make_certificates", "run_silo"]
