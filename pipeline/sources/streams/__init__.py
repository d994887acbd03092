"""Turns files into plain UTF-8 text before a format's reader sees them: decompresses, decodes, unfolds JSON arrays."""
