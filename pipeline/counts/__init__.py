"""Counts of rows and values, and what follows from them: `stats.json`, list lengths, time boundaries."""
