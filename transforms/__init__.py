"""The spec, and the preprocessing that it describes: vocabularies, padding, scaling and the preprocessing_fn."""
