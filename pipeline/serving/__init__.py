"""Exported models in Beam: batch prediction, and the check for training-serving skew."""
