"""TensorFlow, Keras and Horovod: imported here and nowhere else."""
