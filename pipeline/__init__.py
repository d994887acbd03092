"""What moves rows: readers, row checks, splits, the Beam pipeline, the TFRecord sink and the CLI."""
