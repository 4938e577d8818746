"""Migrations: run by `market.store.migrate`, one file for each version of the schema."""
