"""Pages to look at: the profile of new data, the report of a model."""
