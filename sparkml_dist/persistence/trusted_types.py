"""The allow-list: types and functions that learners' files may name, besides skops's own list.

All belong to scikit-learn, NumPy, SciPy or this package, each by its exact name, because a prefix
would admit functions that read files or import modules. A type is listed if creating it and setting
its state runs no code chosen by the file; a function, if it only computes on its arguments, because
a file can call it with any arguments.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["TRUSTED_TYPES", "as_list"]

# Found by dumping every fitted estimator of scikit-learn, with settings that change what is stored;
# a test repeats this, so that types of new versions are noticed.
_BY_MODULE = {
    "builtins": "object",
    # A partial calls only what it names, which must be on a list too.
    "functools": "partial",
    "numpy": "amax amin cumsum diff dtype max mean median min nan_to_num nanmax nanmean nanmedian "
    "nanmin number prod round std sum var",
    "scipy._lib.array_api_compat.numpy._aliases": "asarray",
    "scipy.interpolate._bsplines": "BSpline",
    "scipy.sparse._csr": "csr_matrix csr_array",
    "sklearn._loss.loss": "HalfTweedieLoss HalfTweedieLossIdentity",
    "sklearn.calibration": "_CalibratedClassifier _SigmoidCalibration _TemperatureScaling",
    "sklearn.cluster._bisect_k_means": "_BisectingTree",
    "sklearn.cluster._kmeans": "_kmeans_single_elkan _kmeans_single_lloyd",
    "sklearn.compose._column_transformer": "make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.predictor": "TreePredictor",
    "sklearn.feature_selection._mutual_info": "mutual_info_classif mutual_info_regression",
    "sklearn.feature_selection._univariate_selection": "chi2 f_classif f_regression r_regression",
    "sklearn.gaussian_process._gpc": "_BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels": "CompoundKernel ConstantKernel DotProduct ExpSineSquared "
    "Exponentiation Matern PairwiseKernel Product RBF RationalQuadratic Sum WhiteKernel",
    "sklearn.impute._iterative": "IterativeImputer _ImputerTriplet",
    "sklearn.metrics._classification": "accuracy_score balanced_accuracy_score brier_score_loss "
    "class_likelihood_ratios cohen_kappa_score d2_brier_score d2_log_loss_score f1_score "
    "fbeta_score hamming_loss hinge_loss jaccard_score log_loss matthews_corrcoef precision_score "
    "recall_score zero_one_loss",
    "sklearn.metrics._ranking": "average_precision_score coverage_error dcg_score "
    "label_ranking_average_precision_score label_ranking_loss ndcg_score roc_auc_score "
    "top_k_accuracy_score",
    "sklearn.metrics._regression": "d2_absolute_error_score d2_pinball_score d2_tweedie_score "
    "explained_variance_score max_error mean_absolute_error mean_absolute_percentage_error "
    "mean_gamma_deviance mean_pinball_loss mean_poisson_deviance mean_squared_error "
    "mean_squared_log_error mean_tweedie_deviance median_absolute_error r2_score "
    "root_mean_squared_error root_mean_squared_log_error",
    "sklearn.metrics._scorer": "_CurveScorer _MultimetricScorer _PassthroughScorer _Scorer "
    "negative_likelihood_ratio positive_likelihood_ratio",
    "sklearn.metrics.cluster._supervised": "adjusted_mutual_info_score adjusted_rand_score "
    "completeness_score fowlkes_mallows_score homogeneity_score mutual_info_score "
    "normalized_mutual_info_score rand_score v_measure_score",
    "sklearn.metrics.pairwise": "additive_chi2_kernel chi2_kernel cosine_distances "
    "cosine_similarity euclidean_distances haversine_distances laplacian_kernel linear_kernel "
    "manhattan_distances nan_euclidean_distances polynomial_kernel rbf_kernel sigmoid_kernel",
    "sklearn.model_selection._search_successive_halving": "HalvingGridSearchCV "
    "HalvingRandomSearchCV",
    "sklearn.model_selection._split": "GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut "
    "LeaveOneOut LeavePGroupsOut LeavePOut PredefinedSplit RepeatedKFold RepeatedStratifiedKFold "
    "ShuffleSplit StratifiedGroupKFold StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit",
    "sklearn.multiclass": "_ConstantPredictor",
    "sklearn.neighbors._ball_tree": "BallTree",
    "sklearn.neighbors._kd_tree": "KDTree",
    "sklearn.neural_network._stochastic_optimizers": "AdamOptimizer SGDOptimizer",
    "sklearn.preprocessing._data": "binarize maxabs_scale minmax_scale normalize power_transform "
    "quantile_transform robust_scale scale",
    "sklearn.tree._tree": "Tree",
    "sklearn.utils._bunch": "Bunch",
    "sklearn.utils._metadata_requests": "MetadataRequest MethodMetadataRequest",
    "sklearn.utils.validation": "check_array",
    "sparkml_dist.learners.booster_learner": "BoosterLearner",
    "sparkml_dist.learners.named_learner": "NamedLearner",
    "sparkml_dist.persistence.boosters.stored": "booster",
    "sparkml_dist.persistence.distributions": "frozen",
    "sparkml_dist.persistence.soundness.packed_trees": "PackedTrees",
}
_DISTANCES = (
    "BrayCurtis Canberra Chebyshev Dice Euclidean Hamming Haversine Jaccard Mahalanobis Manhattan "
    "Minkowski RogersTanimoto RussellRao SEuclidean SokalSneath"
)
TRUSTED_TYPES = frozenset(
    [f"{module}.{name}" for module, names in _BY_MODULE.items() for name in names.split()]
    + [f"sklearn.metrics._dist_metrics.{name}Distance64" for name in _DISTANCES.split()]
)


def as_list(names: Iterable[str]) -> str:
    """Return names in the syntax of ``trustedTypes`` and of a command line."""
    shown = list(names)
    quoted = ", ".join(f'"{name}"' for name in shown)
    return f"trustedTypes=[{quoted}], or on a command line: --trusted-types {' '.join(shown)}"
