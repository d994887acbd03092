"""`python -m fieldpool`: the command line."""

from fieldpool.pipeline.cli.program import main

main()
