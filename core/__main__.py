"""`python -m core`: the `chrono` command."""

from core.cli import main

main()
