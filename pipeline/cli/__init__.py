"""The command line: one command a function."""
