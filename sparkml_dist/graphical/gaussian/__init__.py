"""Bayesian networks of numbers: each variable is linear in its parents, with Gaussian noise."""
