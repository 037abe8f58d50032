"""Kernel methods over shards: random and Nyström features, and machines on centres."""

from sparkml_dist.kernels.clusters_model import KernelClustersModel
from sparkml_dist.kernels.fourier_features import FourierFeatures, FourierFeaturesModel
from sparkml_dist.kernels.gaussian_process import GaussianProcess
from sparkml_dist.kernels.gaussian_process_model import GaussianProcessModel
from sparkml_dist.kernels.kernel_classifier import KernelClassificationModel, KernelClassifier
from sparkml_dist.kernels.kernel_kmeans import KernelKMeans
from sparkml_dist.kernels.kernel_ridge import KernelRidge, KernelRidgeModel
from sparkml_dist.kernels.nystroem_features import NystroemFeatures, NystroemFeaturesModel
from sparkml_dist.kernels.one_class import OneClassMachine
from sparkml_dist.kernels.one_class_model import OneClassMachineModel
from sparkml_dist.kernels.spectral_clustering import SpectralClustering

__all__ = [
    "FourierFeatures",
    "FourierFeaturesModel",
    "GaussianProcess",
    "GaussianProcessModel",
    "KernelClassificationModel",
    "KernelClassifier",
    "KernelClustersModel",
    "KernelKMeans",
    "KernelRidge",
    "KernelRidgeModel",
    "NystroemFeatures",
    "NystroemFeaturesModel",
    "OneClassMachine",
    "OneClassMachineModel",
    "SpectralClustering",
]
