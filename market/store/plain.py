"""Questions that are asked all the time, put to the tables and not to the classes over them.

Objects of the session are for what changes: to make them of a row takes the ORM longer than SQLite takes to find it.
"""

from typing import TypeVarTuple

from sqlalchemy import CursorResult, Select
from sqlmodel import Session

Columns = TypeVarTuple("Columns")


def asked(session: Session, query: Select[*Columns], **values: object) -> CursorResult[*Columns]:
    """What a query of tables finds in a session's transaction, with values for its parameters.

    As for queries of classes, what the session holds and has not written is written before.
    """
    session.flush()
    return session.connection().execute(query, values)
