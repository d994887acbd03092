"""What a person sees of a command: streams, progress, tables."""
