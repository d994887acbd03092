"""tf.Examples in and out of TFRecord files."""
