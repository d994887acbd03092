"""What is computed: the spec of fields, vocabularies, padding, scaling and the preprocessing_fn."""
