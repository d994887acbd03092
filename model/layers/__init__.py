"""Layers and the DeepFM, on every backend of Keras; only `fused_lookup` needs TensorFlow."""
