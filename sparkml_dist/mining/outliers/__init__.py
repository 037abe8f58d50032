"""Outlier detection: isolation forests, local outlier factors, robust z-scores."""
