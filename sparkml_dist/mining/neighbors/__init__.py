"""Near-duplicate sets and nearest neighbours of points."""
