"""Imports TensorFlow and Keras without Horovod, for processes that are not ranks too."""

from __future__ import annotations

from sparkml_dist.deep.backend.light_imports import light_imports

__all__ = ["keras", "tf"]

with light_imports():
    import keras
    import tensorflow as tf
