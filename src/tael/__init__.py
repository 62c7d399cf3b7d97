"""Tael: orders, channels and a double-entry ledger that move money once, in one PostgreSQL transaction."""

__version__ = "0.1.0"
