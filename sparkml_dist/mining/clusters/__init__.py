"""Clustering of any number of points: by density, around means, around medoids."""
