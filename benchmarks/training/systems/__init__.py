"""The systems that are compared: each module builds a DeepFM from a `Task`, and runs in its own environment."""
