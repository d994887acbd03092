"""From raw inputs to the values of fields, in TensorFlow: what is derived, normalized or limited before any id."""
