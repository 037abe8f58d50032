"""What the ranks of a gang run."""
