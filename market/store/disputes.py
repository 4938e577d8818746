"""Disputes, and participants' agreement with their statements."""

from sqlmodel import Session, col, select

from api_spec.dispute import Dispute
from api_spec.settlement import StatementAcceptance
from market.errors import NotFound
from market.store.tables import DisputeRow, StatementAcceptanceRow


class Disputes:
    """Disputes of one database transaction."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session = session

    def add(self, dispute: Dispute) -> None:
        """Keep a new dispute."""
        self._session.add(
            DisputeRow(
                id=dispute.id,
                auction=dispute.auction,
                participant=dispute.participant,
                state=dispute.state,
                document=dispute.model_dump_json(),
            )
        )
        self._session.flush()

    def decide(self, dispute: Dispute) -> None:
        """Write a decision."""
        row = self._row(dispute.auction, dispute.id)
        row.state, row.document, row.decided_at = dispute.state, dispute.model_dump_json(), dispute.decided_at
        self._session.add(row)
        self._session.flush()

    def get(self, auction: str, dispute: str) -> Dispute:
        """A dispute by its id; NotFound."""
        return Dispute.model_validate_json(self._row(auction, dispute).document)

    def of(self, auction: str, *, participant: str | None = None) -> list[Dispute]:
        """Disputes in the order they came: all of an auction, or one participant's."""
        query = select(DisputeRow.document).where(DisputeRow.auction == auction)
        if participant is not None:
            query = query.where(DisputeRow.participant == participant)
        found = self._session.exec(query.order_by(col(DisputeRow.sequence)))
        return [Dispute.model_validate_json(document) for document in found]

    def accepted(self, auction: str) -> list[Dispute]:
        """Accepted disputes, in the order of their decisions."""
        query = select(DisputeRow.document).where(DisputeRow.auction == auction, DisputeRow.state == "accepted")
        found = self._session.exec(query.order_by(col(DisputeRow.decided_at), col(DisputeRow.sequence)))
        return [Dispute.model_validate_json(document) for document in found]

    def accept_statement(self, acceptance: StatementAcceptance) -> None:
        """Keep a participant's agreement."""
        self._session.add(StatementAcceptanceRow(**acceptance.model_dump()))
        self._session.flush()

    def acceptances(self, auction: str, *, participant: str | None = None) -> list[StatementAcceptance]:
        """Agreements, in the order of participants and versions: all of an auction, or one participant's."""
        query = select(StatementAcceptanceRow).where(StatementAcceptanceRow.auction == auction)
        if participant is not None:
            query = query.where(StatementAcceptanceRow.participant == participant)
        ordered = query.order_by(col(StatementAcceptanceRow.participant), col(StatementAcceptanceRow.version))
        return [StatementAcceptance.model_validate(row.model_dump()) for row in self._session.exec(ordered)]

    def _row(self, auction: str, dispute: str) -> DisputeRow:
        query = select(DisputeRow).where(DisputeRow.auction == auction, DisputeRow.id == dispute)
        row = self._session.exec(query).one_or_none()
        if row is None:
            raise NotFound("dispute", dispute)
        return row
