"""Athena that runs the SQL: sqlglot reads it as Trino does, DuckDB evaluates it over the objects in moto's S3.

What is not known to mean the same here as there ends FAILED with a reason, never in an empty success.
"""
