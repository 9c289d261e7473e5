"""Spark in DuckDB's place: a session whose answers are equal, and the Ibis backend that asks it."""
