"""Statements and ledger entries; both are only ever added to."""

from collections.abc import Iterable

from sqlmodel import Session, col, select

from api_spec.settlement import Statement, Transfer
from market.store.tables import StatementRow, TransferRow


class Money:
    """Statements and transfers of one database transaction."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session = session

    def add_statements(self, statements: Iterable[Statement]) -> None:
        """Keep settled statements."""
        for each in statements:
            self._session.add(
                StatementRow(
                    auction=each.auction,
                    participant=each.participant,
                    version=each.version,
                    document=each.model_dump_json(),
                )
            )

    def statement(self, auction: str, participant: str) -> Statement | None:
        """A participant's newest statement, if it has one."""
        query = select(StatementRow).where(StatementRow.auction == auction, StatementRow.participant == participant)
        row = self._session.exec(query.order_by(col(StatementRow.version).desc())).first()
        return None if row is None else Statement.model_validate_json(row.document)

    def post(self, transfers: Iterable[Transfer]) -> None:
        """Write ledger entries."""
        for each in transfers:
            self._session.add(TransferRow(**each.model_dump()))

    def transfers(self, auction: str) -> list[Transfer]:
        """All entries of an auction, in the order they were written."""
        query = select(TransferRow).where(TransferRow.auction == auction).order_by(col(TransferRow.sequence))
        return [Transfer.model_validate(row.model_dump(exclude={"sequence"})) for row in self._session.exec(query)]
