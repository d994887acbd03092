"""Exact sums and counts that do not depend on the order of rows, without TensorFlow and Beam."""
