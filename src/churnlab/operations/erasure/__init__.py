"""Erases customers from everything that churnlab wrote."""
