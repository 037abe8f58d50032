"""Imports of TensorFlow, Keras and Horovod; no other module imports them."""
