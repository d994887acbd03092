"""Output folders that are either complete or absent, on any file system that Beam supports."""
