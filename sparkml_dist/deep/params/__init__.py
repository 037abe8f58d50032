"""Params of the estimators of networks."""
