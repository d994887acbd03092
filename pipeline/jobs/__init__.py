"""How a Beam job is configured, checked and run: options, runners, errors. Independent of rows."""
