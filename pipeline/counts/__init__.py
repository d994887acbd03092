"""Counts of rows and values, and the results computed from them: `stats.json`, list lengths, time boundaries."""
