"""Strategies of federated learning, one to a file: what silos and coordinator do."""

from sparkml_dist.federated.strategies.aggregation.aggregation import Aggregation
from sparkml_dist.federated.strategies.aggregation.bulyan import Bulyan
from sparkml_dist.federated.strategies.aggregation.krum import Krum, MultiKrum
from sparkml_dist.federated.strategies.aggregation.median import CoordinateMedian
from sparkml_dist.federated.strategies.aggregation.norm_clipping import NormClipping
from sparkml_dist.federated.strategies.aggregation.trimmed_mean import TrimmedMean
from sparkml_dist.federated.strategies.clustered import Clustered
from sparkml_dist.federated.strategies.ditto import Ditto
from sparkml_dist.federated.strategies.fedadagrad import FedAdagrad
from sparkml_dist.federated.strategies.fedadam import FedAdam
from sparkml_dist.federated.strategies.fedavg import FedAvg
from sparkml_dist.federated.strategies.fedavgm import FedAvgM
from sparkml_dist.federated.strategies.feddyn import FedDyn
from sparkml_dist.federated.strategies.fednova import FedNova
from sparkml_dist.federated.strategies.fedprox import FedProx
from sparkml_dist.federated.strategies.fedyogi import FedYogi
from sparkml_dist.federated.strategies.scaffold import Scaffold
from sparkml_dist.federated.strategies.strategy import Strategy

__all__ = [
    "Aggregation",
    "Bulyan",
    "Clustered",
    "CoordinateMedian",
    "Ditto",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedDyn",
    "FedNova",
    "FedProx",
    "FedYogi",
    "Krum",
    "MultiKrum",
    "NormClipping",
    "Scaffold",
    "Strategy",
    "TrimmedMean",
]
