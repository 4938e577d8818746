"""`python -m market`: the command `flexmarket`."""

from market.cli import main

main()
