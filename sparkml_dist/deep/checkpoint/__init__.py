"""Checkpoints of a training: content, storage, and resuming from them."""
