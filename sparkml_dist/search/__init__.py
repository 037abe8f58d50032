"""Search of hyper-parameters and learners: trials on shards, of which the better ones get more."""

from sparkml_dist.search.model import HyperparameterSearchModel
from sparkml_dist.search.search import HyperparameterSearch

__all__ = ["HyperparameterSearch", "HyperparameterSearchModel"]
