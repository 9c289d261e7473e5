"""`python -m churnlab.cli`."""

from churnlab.cli import main

main()
