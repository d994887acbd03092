"""Compares the pipeline with other systems on the same rows."""
