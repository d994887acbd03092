"""What is learned from the train rows: exact counts of rows, and the vocabularies, statistics and lengths they give."""
