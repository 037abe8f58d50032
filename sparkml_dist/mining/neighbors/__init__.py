"""Near-duplicates of sets and nearest neighbours of points."""
