"""The only SQL: tables, rows to contract types and back, the unit of work, and migrations."""

from market.store.engine import migrate, open_engine
from market.store.work import UnitOfWork, transact

__all__ = ["UnitOfWork", "migrate", "open_engine", "transact"]
