"""Reads files into batches of unconverted rows, with the number of each row: one module for each format."""
