"""Boosted trees whose silos send histograms of gradients, and never rows."""
