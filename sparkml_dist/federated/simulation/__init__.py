"""Silos made of one data set: how they differ, and what federated training costs and gains."""

from sparkml_dist.federated.simulation.compare import compare_federated
from sparkml_dist.federated.simulation.heterogeneity import Heterogeneity, heterogeneity
from sparkml_dist.federated.simulation.silo_draws import feature_shift, label_skew, quantity_skew
from sparkml_dist.federated.simulation.silo_metrics import SiloMetrics, silo_metrics
from sparkml_dist.federated.simulation.with_silos import with_silos

__all__ = [
    "Heterogeneity",
    "SiloMetrics",
    "compare_federated",
    "feature_shift",
    "heterogeneity",
    "label_skew",
    "quantity_skew",
    "silo_metrics",
    "with_silos",
]
