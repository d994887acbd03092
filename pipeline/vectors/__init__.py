"""Pretrained vectors: reads and checks their files, and writes those of a run."""
