"""Rules for a proposed spec: the properties of a column, and the field that follows from them."""
