"""The pipeline beside others on the same rows."""
