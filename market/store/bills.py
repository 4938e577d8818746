"""Bills, their versions, and their ledgers; all are only ever added to."""

from collections.abc import Iterable

from pydantic_core import to_json
from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from api_spec.tariffs import Bill, BillTransfer
from market.errors import NotFound
from market.store.tables import BillCorrectionRow, BillRow, BillTransferRow


class Bills:
    """Bills of one database transaction."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session = session

    def add(self, bill: Bill) -> None:
        """Keep a new bill, or the next version of one."""
        document = bill.model_dump_json()
        self._session.add(
            BillRow(id=bill.id, tariff=bill.tariff, participant=bill.participant, document=document)
            if bill.version == 1
            else BillCorrectionRow(bill=bill.id, version=bill.version, document=document)
        )
        self._session.flush()

    def newest(self, tariff: str, *, participant: str | None = None, bus: str | None = None) -> list[Bill]:
        """Newest versions of bills under a tariff, in the order they were made: all, or of one participant, one bus."""
        query = select(BillRow.document, BillCorrectionRow.document).outerjoin(
            BillCorrectionRow, col(BillCorrectionRow.bill) == col(BillRow.id)
        )
        query = query.where(BillRow.tariff == tariff)
        if participant is not None:
            query = query.where(BillRow.participant == participant)
        if bus is not None:
            query = query.where(_at(bus))
        found = self._session.exec(query.order_by(col(BillRow.sequence), col(BillCorrectionRow.version)))
        bills = (Bill.model_validate_json(corrected or first) for first, corrected in found)
        return list({each.id: each for each in bills}.values())

    def latest(self, tariff: str, *, participant: str, bus: str) -> Bill | None:
        """The bill of a participant's bus that was made last, in its first version; None before the first one."""
        mine = select(BillRow.document).where(BillRow.tariff == tariff, BillRow.participant == participant, _at(bus))
        document = self._session.exec(mine.order_by(col(BillRow.sequence).desc()).limit(1)).one_or_none()
        return None if document is None else Bill.model_validate_json(document)

    def get(self, tariff: str, bill: str) -> Bill:
        """The newest version of a bill under a tariff; NotFound."""
        versions = self.versions(bill)
        if not versions or versions[-1].tariff != tariff:
            raise NotFound("bill", bill)
        return versions[-1]

    def versions(self, bill: str) -> list[Bill]:
        """All versions of a bill, the oldest first."""
        first = self._session.exec(select(BillRow.document).where(BillRow.id == bill))
        query = select(BillCorrectionRow.document).where(BillCorrectionRow.bill == bill)
        later = self._session.exec(query.order_by(col(BillCorrectionRow.version)))
        return [Bill.model_validate_json(document) for document in (*first, *later)]

    def post(self, transfers: Iterable[BillTransfer]) -> None:
        """Write ledger entries."""
        for each in transfers:
            self._session.add(BillTransferRow(**each.model_dump()))
        self._session.flush()

    def transfers(self, bill: str) -> list[BillTransfer]:
        """All entries of a bill's ledger, in the order they were written."""
        query = select(BillTransferRow).where(BillTransferRow.bill == bill).order_by(col(BillTransferRow.sequence))
        return [BillTransfer.model_validate(row.model_dump(exclude={"sequence"})) for row in self._session.exec(query)]


def _at(bus: str) -> ColumnElement[bool]:
    """Of what stands in their documents: to read those of all others takes long once a year of bills is there."""
    return col(BillRow.document).contains(f'"bus":{to_json(bus).decode()}', autoescape=True)
