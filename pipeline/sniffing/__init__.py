"""Determines how files are to be read: compression, encoding, format and CSV dialect, from samples of them."""
