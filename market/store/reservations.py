"""Reserved capacity, whether it was offered, what that came to; and acknowledgements of awards."""

from collections.abc import Iterable

from sqlmodel import Session, col, select

from api_spec.award import Acknowledgement
from api_spec.period import MarketPeriod
from api_spec.reservation import AvailabilityStatement, Obligation, Reservation
from market.errors import AlreadyExists
from market.store.tables import AcknowledgementRow, AuctionRow, AvailabilityRow, ObligationRow, ReservationRow


class Reservations:
    """Reservations of one database transaction."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session = session

    def add(self, reservations: Iterable[Reservation]) -> None:
        """Keep what a reservation auction awarded."""
        for each in reservations:
            self._session.add(
                ReservationRow(
                    auction=each.auction,
                    offer=each.offer,
                    participant=each.participant,
                    network=each.network,
                    starts=each.delivery.start,
                    ends=each.delivery.end,
                    document=each.model_dump_json(),
                )
            )

    def reservations(
        self, *, auction: str | None = None, participant: str | None = None, dso: str | None = None
    ) -> list[Reservation]:
        """Reservations of an auction, a participant or a DSO's auctions, by auction and offer."""
        query = select(ReservationRow.document)
        if dso is not None:
            query = query.join(AuctionRow, col(AuctionRow.id) == col(ReservationRow.auction)).where(
                AuctionRow.dso == dso
            )
        if auction is not None:
            query = query.where(ReservationRow.auction == auction)
        if participant is not None:
            query = query.where(ReservationRow.participant == participant)
        documents = self._session.exec(query.order_by(col(ReservationRow.auction), col(ReservationRow.offer)))
        return [Reservation.model_validate_json(document) for document in documents]

    def during(self, network: str, delivery: MarketPeriod) -> list[Reservation]:
        """Reservations on a network that hold at some time of `delivery`."""
        query = select(ReservationRow.document).where(
            ReservationRow.network == network,
            ReservationRow.starts < delivery.end,
            ReservationRow.ends > delivery.start,
        )
        documents = self._session.exec(query.order_by(col(ReservationRow.auction), col(ReservationRow.offer)))
        return [Reservation.model_validate_json(document) for document in documents]

    def record(self, obligations: Iterable[Obligation]) -> None:
        """Keep how far reservations were honoured in an activation auction."""
        for each in obligations:
            self._session.add(
                ObligationRow(
                    activation=each.activation,
                    reservation=each.reservation,
                    offer=each.offer,
                    participant=each.participant,
                    document=each.model_dump_json(),
                )
            )

    def obligations(self, *, reservation: str | None = None, activation: str | None = None) -> list[Obligation]:
        """What was recorded of a reservation auction, or in an activation auction."""
        query = select(ObligationRow.document)
        if reservation is not None:
            query = query.where(ObligationRow.reservation == reservation)
        if activation is not None:
            query = query.where(ObligationRow.activation == activation)
        order = (col(ObligationRow.activation), col(ObligationRow.reservation), col(ObligationRow.offer))
        return [Obligation.model_validate_json(document) for document in self._session.exec(query.order_by(*order))]

    def add_statements(self, statements: Iterable[AvailabilityStatement]) -> None:
        """Keep settled statements of availability."""
        for each in statements:
            self._session.add(
                AvailabilityRow(
                    auction=each.auction,
                    participant=each.participant,
                    version=each.version,
                    document=each.model_dump_json(),
                )
            )

    def statements(self, auction: str) -> list[AvailabilityStatement]:
        """Statements of a reservation auction, by participant and version."""
        query = select(AvailabilityRow.document).where(AvailabilityRow.auction == auction)
        documents = self._session.exec(query.order_by(col(AvailabilityRow.participant), col(AvailabilityRow.version)))
        return [AvailabilityStatement.model_validate_json(document) for document in documents]

    def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        """Keep the answer to an award; AlreadyExists where it was answered."""
        key = (acknowledgement.auction, acknowledgement.offer, acknowledgement.version)
        if self._session.get(AcknowledgementRow, key) is not None:
            raise AlreadyExists("acknowledgement of award", acknowledgement.offer)
        auction, offer, version = key
        document = acknowledgement.model_dump_json()
        self._session.add(AcknowledgementRow(auction=auction, offer=offer, version=version, document=document))
        self._session.flush()

    def acknowledgements(self, auction: str) -> dict[tuple[str, int], Acknowledgement]:
        """Answers to the awards of an auction, by offer and version."""
        documents = self._session.exec(select(AcknowledgementRow.document).where(AcknowledgementRow.auction == auction))
        answers = (Acknowledgement.model_validate_json(document) for document in documents)
        return {(each.offer, each.version): each for each in answers}
