"""`python -m gatewright`: the command line."""

from gatewright.cli.main import main

main()
