"""This process: the cores that it may use, and what must happen before it ends."""
