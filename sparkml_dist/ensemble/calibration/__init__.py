"""Probabilities that are frequencies, fitted out of core."""
