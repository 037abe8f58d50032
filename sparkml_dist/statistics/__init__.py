"""Exact linear models with standard errors, and tests, from sums over shards."""
