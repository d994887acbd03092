"""Reads, checks, transforms and writes rows: readers, row checks, splits, Beam jobs, the TFRecord sink, the CLI."""
