"""Files to batches of rows as they stand there, with the number of each row: one module a format."""
