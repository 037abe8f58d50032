"""What the process with Keras runs; imports TensorFlow."""
