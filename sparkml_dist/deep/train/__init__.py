"""The code that the ranks of a training's gang run."""
