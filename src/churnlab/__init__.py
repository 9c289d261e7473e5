"""Which customers are about to leave, what each is worth, and whom to contact first."""

__version__ = "0.1.0"
