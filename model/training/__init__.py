"""Training a run's model: the loop, its callbacks, checkpoints and optimizers. TensorFlow only."""
