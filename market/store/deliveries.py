"""What deliveries are settled against, and how good they were."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from api_spec.baselines import SettlementBaseline
from api_spec.quality import DeliveryQuality
from market.ledger.orders import Place
from market.ledger.past_delivery import PastDelivery
from market.ledger.quality import Energies
from market.store.tables import QualityRow, SettlementBaselineRow


class Deliveries:
    """Settlement baselines and delivery quality of one database transaction."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session = session

    def freeze(self, baselines: Iterable[SettlementBaseline]) -> None:
        """Keep what is settled against; it never changes again."""
        for each in baselines:
            self._session.add(
                SettlementBaselineRow(
                    auction=each.auction,
                    participant=each.participant,
                    bus=each.bus,
                    document=each.model_dump_json(),
                )
            )
        self._session.flush()

    def baselines(self, auction: str, *, participant: str | None = None) -> list[SettlementBaseline]:
        """Frozen baselines of an auction, in the order of participants and buses: all, or one participant's."""
        query = select(SettlementBaselineRow.document).where(SettlementBaselineRow.auction == auction)
        if participant is not None:
            query = query.where(SettlementBaselineRow.participant == participant)
        ordered = query.order_by(col(SettlementBaselineRow.participant), col(SettlementBaselineRow.bus))
        return [SettlementBaseline.model_validate_json(each) for each in self._session.exec(ordered)]

    def record(self, quality: DeliveryQuality, *, network: str, delivered_at: datetime) -> None:
        """Keep one version of a delivery's quality. delivered_at : the end of its delivery."""
        self._session.add(
            QualityRow(
                auction=quality.auction,
                network=network,
                participant=quality.participant,
                bus=quality.bus,
                version=quality.version,
                delivered_at=delivered_at,
                recorded_at=quality.recorded_at,
                document=quality.model_dump_json(),
            )
        )
        self._session.flush()

    def quality(self, auction: str, *, participant: str | None = None) -> list[DeliveryQuality]:
        """Newest quality of an auction's deliveries, in the order of participants and buses."""
        query = select(QualityRow).where(QualityRow.auction == auction)
        if participant is not None:
            query = query.where(QualityRow.participant == participant)
        rows = self._session.exec(query.order_by(col(QualityRow.version)))
        newest = {(row.participant, row.bus): row.document for row in rows}
        return [DeliveryQuality.model_validate_json(document) for _, document in sorted(newest.items())]

    def ended(self, network: str, *, after: datetime, until: datetime) -> dict[Place, list[PastDelivery]]:
        """Settled deliveries on a network that ended after a time and until another, by participant and bus."""
        query = select(QualityRow).where(
            QualityRow.network == network, QualityRow.delivered_at > after, QualityRow.delivered_at <= until
        )
        rows = self._session.exec(query.order_by(col(QualityRow.auction), col(QualityRow.version)))
        newest = {(row.auction, row.participant, row.bus): row for row in rows}
        places: dict[Place, list[PastDelivery]] = defaultdict(list)
        for row in newest.values():
            quality = DeliveryQuality.model_validate_json(row.document)
            energies = Energies(quality.ordered_wh, quality.delivered_wh)
            places[row.participant, row.bus].append(PastDelivery(row.delivered_at, energies))
        return dict(places)

    def last(
        self, most: int, *, before: datetime | None, network: str | None = None, participant: str | None = None
    ) -> dict[tuple[str, str, str], list[DeliveryQuality]]:
        """The last deliveries per network, participant and bus, newest first, at most so many.

        before : as known before a time; None = as known now.
        """
        known = select(QualityRow)
        if before is not None:
            known = known.where(col(QualityRow.recorded_at) < before)
        if network is not None:
            known = known.where(QualityRow.network == network)
        if participant is not None:
            known = known.where(QualityRow.participant == participant)
        newest = (
            known.with_only_columns(func.max(QualityRow.sequence).label("sequence"))
            .group_by(col(QualityRow.auction), col(QualityRow.participant), col(QualityRow.bus))
            .subquery()
        )
        rank = (
            func.row_number()
            .over(
                partition_by=(col(QualityRow.network), col(QualityRow.participant), col(QualityRow.bus)),
                order_by=(col(QualityRow.delivered_at).desc(), col(QualityRow.auction)),
            )
            .label("rank")
        )
        ranked = (
            select(col(QualityRow.sequence), rank)
            .join(newest, col(QualityRow.sequence) == newest.c.sequence)
            .subquery()
        )
        query = (
            select(QualityRow)
            .join(ranked, col(QualityRow.sequence) == ranked.c.sequence)
            .where(ranked.c.rank <= most)
            .order_by(col(QualityRow.network), col(QualityRow.participant), col(QualityRow.bus), ranked.c.rank)
        )
        places: dict[tuple[str, str, str], list[DeliveryQuality]] = defaultdict(list)
        for row in self._session.exec(query):
            quality = DeliveryQuality.model_validate_json(row.document)
            places[row.network, row.participant, row.bus].append(quality)
        return dict(places)
