"""Outliers among points of any number: isolation forests, local density, robust z-scores."""
