"""Statements and ledger entries; both are only ever added to."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from api_spec.settlement import DsoStatement, Statement, Transfer
from market.ledger.settlement import Settlement
from market.store.tables import DisputeRow, ReadingRow, SettlementRow, StatementRow, TransferRow


class Money:
    """Statements and transfers of one database transaction."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session = session

    def add_settlement(self, before: Settlement | None, after: Settlement, *, readings: int, disputes: int) -> None:
        """Keep what is new in a settlement. readings, disputes : messages and accepted disputes that it took in."""
        kept = {(each.participant, each.version) for each in before.statements} if before else set()
        for each in after.statements:
            if (each.participant, each.version) not in kept:
                self._session.add(
                    StatementRow(
                        auction=each.auction,
                        participant=each.participant,
                        version=each.version,
                        document=each.model_dump_json(),
                    )
                )
        self._session.add(
            SettlementRow(
                auction=after.dso.auction,
                version=after.dso.version,
                readings=readings,
                disputes=disputes,
                document=after.dso.model_dump_json(),
                settled_at=after.dso.settled_at,
            )
        )

    def statements(self, auction: str, *, participant: str | None = None) -> list[Statement]:
        """All versions of statements, in the order of participants and versions: everybody's, or one participant's."""
        query = select(StatementRow.document).where(StatementRow.auction == auction)
        if participant is not None:
            query = query.where(StatementRow.participant == participant)
        found = self._session.exec(query.order_by(col(StatementRow.participant), col(StatementRow.version)))
        return [Statement.model_validate_json(document) for document in found]

    def statement(self, auction: str, participant: str) -> Statement | None:
        """A participant's newest statement, if it has one."""
        query = select(StatementRow).where(StatementRow.auction == auction, StatementRow.participant == participant)
        row = self._session.exec(query.order_by(col(StatementRow.version).desc())).first()
        return None if row is None else Statement.model_validate_json(row.document)

    def dso_statements(self, auction: str) -> list[DsoStatement]:
        """All versions of the DSO's statement, oldest first."""
        query = select(SettlementRow.document).where(SettlementRow.auction == auction)
        found = self._session.exec(query.order_by(col(SettlementRow.version)))
        return [DsoStatement.model_validate_json(document) for document in found]

    def settlement(self, auction: str) -> Settlement | None:
        """The newest settlement, if there is one."""
        versions = self.dso_statements(auction)
        if not versions:
            return None
        newest = {each.participant: each for each in self.statements(auction)}
        return Settlement(tuple(newest.values()), versions[-1])

    def taken_in(self, auction: str) -> tuple[int, int] | None:
        """How many messages of readings and accepted disputes the newest settlement took in, if there is one."""
        query = select(SettlementRow.readings, SettlementRow.disputes).where(SettlementRow.auction == auction)
        row = self._session.exec(query.order_by(col(SettlementRow.version).desc())).first()
        return None if row is None else (row[0], row[1])

    def due_corrections(self, *, settled_until: datetime) -> list[str]:
        """Auctions of whose newest settlement, made until then, readings came or disputes were accepted since."""
        newest = (
            select(SettlementRow.auction, func.max(SettlementRow.version).label("version"))
            .group_by(col(SettlementRow.auction))
            .subquery()
        )
        readings = select(func.count()).where(ReadingRow.auction == SettlementRow.auction).scalar_subquery()
        accepted = (
            select(func.count())
            .where(DisputeRow.auction == SettlementRow.auction, DisputeRow.state == "accepted")
            .scalar_subquery()
        )
        query = (
            select(SettlementRow.auction)
            .join(
                newest,
                (col(SettlementRow.auction) == newest.c.auction) & (col(SettlementRow.version) == newest.c.version),
            )
            .where(SettlementRow.settled_at <= settled_until)
            .where((col(SettlementRow.readings) != readings) | (col(SettlementRow.disputes) != accepted))
        )
        return list(self._session.exec(query.order_by(col(SettlementRow.sequence))))

    def post(self, transfers: Iterable[Transfer]) -> None:
        """Write ledger entries."""
        for each in transfers:
            self._session.add(TransferRow(**each.model_dump()))

    def transfers(self, auction: str) -> list[Transfer]:
        """All entries of an auction, in the order they were written."""
        query = select(TransferRow).where(TransferRow.auction == auction).order_by(col(TransferRow.sequence))
        return [Transfer.model_validate(row.model_dump(exclude={"sequence"})) for row in self._session.exec(query)]
