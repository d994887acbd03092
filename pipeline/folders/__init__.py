"""Output folders that are there as a whole or not at all, on any file system."""
