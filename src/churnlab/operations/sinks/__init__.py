"""Publishes a night's scores: to a folder, PostgreSQL, SQLite or DuckDB."""
