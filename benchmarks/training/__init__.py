"""Compares training with that of other systems."""
