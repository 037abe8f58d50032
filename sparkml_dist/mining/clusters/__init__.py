"""Clusters of points of any number: by density, around centres, around medoids."""
