"""Layers and the DeepFM, for every backend of Keras; only `fused_lookup` needs TensorFlow."""
