"""`python -m fieldpool`: the command line."""

from fieldpool.pipeline.cli.app import main

main()
