"""The readers of file formats: one module for each, with `columns_of`, `ranges` and `read`."""
