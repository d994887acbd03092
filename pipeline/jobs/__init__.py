"""Where and how a Beam job runs: options, runners, errors. Knows nothing of rows."""
