"""Encodes, writes and decodes tf.Examples in TFRecord files."""
