"""Imports TensorFlow, Keras and Horovod once; only for modules that run in a rank's process."""

from __future__ import annotations

from sparkml_dist.deep.backend.light_imports import light_imports

__all__ = ["hvd", "keras", "tf"]

with light_imports():
    import horovod.tensorflow as hvd
    import keras
    import tensorflow as tf
