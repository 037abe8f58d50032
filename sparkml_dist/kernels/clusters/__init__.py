"""Clusters in the space of a kernel."""
