"""What analyzers add up before they have a result, in a form that TensorFlow Transform can keep in its cache."""
