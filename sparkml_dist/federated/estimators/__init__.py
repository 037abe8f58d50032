"""Estimators that train one model over silos, and their models."""
