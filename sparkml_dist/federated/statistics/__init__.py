"""Exact statistics over the rows of all silos, equal to those of the pooled rows."""

from sparkml_dist.federated.statistics.cox import federated_cox
from sparkml_dist.federated.statistics.cox_result import CoxResult
from sparkml_dist.federated.statistics.glm import coefficients_and_errors, federated_glm
from sparkml_dist.federated.statistics.group_moments import federated_anova, federated_t_test
from sparkml_dist.federated.statistics.histogram import federated_histogram
from sparkml_dist.federated.statistics.kaplan_meier import federated_kaplan_meier
from sparkml_dist.federated.statistics.log_rank import federated_log_rank
from sparkml_dist.federated.statistics.moments import federated_moments
from sparkml_dist.federated.statistics.products import (
    FederatedComponents,
    federated_correlation,
    federated_correlation_test,
    federated_pca,
)
from sparkml_dist.federated.statistics.quantiles import federated_quantiles
from sparkml_dist.federated.statistics.tables import federated_contingency_test, federated_counts

__all__ = [
    "CoxResult",
    "FederatedComponents",
    "coefficients_and_errors",
    "federated_anova",
    "federated_contingency_test",
    "federated_correlation",
    "federated_correlation_test",
    "federated_counts",
    "federated_cox",
    "federated_glm",
    "federated_histogram",
    "federated_kaplan_meier",
    "federated_log_rank",
    "federated_moments",
    "federated_pca",
    "federated_quantiles",
    "federated_t_test",
]
