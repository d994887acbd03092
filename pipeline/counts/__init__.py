"""Counts of rows and values, and what is computed from them: `stats.json`, list lengths, time boundaries."""
