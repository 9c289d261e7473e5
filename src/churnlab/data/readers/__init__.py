"""Reads what tables are kept in: files of every kind, and databases."""
