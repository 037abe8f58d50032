"""Gaussian processes: their evidence, hyper-parameters and predictive distributions."""
