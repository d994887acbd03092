"""The training step: of one process, and of several replicas."""
