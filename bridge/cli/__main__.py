"""`python -m bridge.cli`, for where the script is not on the path."""

from bridge.cli import main

main()
