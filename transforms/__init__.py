"""The spec, the preprocessing that it describes (vocabularies, padding, scaling), and the reader of a run."""
