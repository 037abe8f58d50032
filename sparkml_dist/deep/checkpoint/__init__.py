"""Checkpoints of a training: what they hold, where they lie, how it goes on from one."""
