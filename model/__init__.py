"""What learns: the masked mean pool, DeepFM, the reader of a run, training and evaluation."""
