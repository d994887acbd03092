"""Reads runs: the spec, the counts, the shards, the vocabularies. Of local runs, without TensorFlow and Keras."""
