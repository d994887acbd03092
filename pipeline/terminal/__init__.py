"""The output of commands on a terminal: streams, progress, tables."""
