"""Training of a run's model: the training loop, its callbacks, checkpoints and optimizers. TensorFlow only."""
