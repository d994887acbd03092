"""Converts batches of rows to checked rows, and checked rows to the input of TensorFlow Transform."""
