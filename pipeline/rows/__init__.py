"""Batches of rows to checked rows, and those to what TensorFlow Transform takes."""
