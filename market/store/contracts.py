"""Contracts and their versions, the rights of theirs that entered auctions, and their ledgers."""

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Row, Select, bindparam
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from api_spec.award import Award
from api_spec.calendar import Span
from api_spec.contracts import AnyContractTerms, Contract, ContractTransfer
from api_spec.period import MarketPeriod
from market.errors import NotFound
from market.instruments.rights import Right, Use, use_of
from market.store.auctions import Auctions
from market.store.plain import asked
from market.store.tables import AuctionRow, AwardRow, ContractRow, ContractTransferRow, RightRow, metadata

_TERMS: Final[TypeAdapter[AnyContractTerms]] = TypeAdapter(AnyContractTerms)
_CONTRACTS: Final = metadata.tables["contract"]


@cache
def _all(*, of_dso: bool, of_participant: bool) -> Select[*tuple[Any, ...]]:
    """Built once: aggregators ask for their contracts all the time."""
    query = select_columns(_CONTRACTS)
    if of_dso:
        query = query.where(_CONTRACTS.c.dso == bindparam("of"))
    if of_participant:
        query = query.where(_CONTRACTS.c.participant == bindparam("by"))
    return query.order_by(_CONTRACTS.c.id, _CONTRACTS.c.version)


class Contracts:
    """Contracts of one database transaction."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session = session

    def add(self, contract: Contract) -> None:
        """Keep a new version of a contract."""
        self._session.add(
            ContractRow(
                id=contract.id,
                version=contract.version,
                dso=contract.dso,
                participant=contract.terms.participant,
                network=contract.terms.network,
                terms=contract.terms.model_dump_json(),
                proposed_at=contract.proposed_at,
                accepted_at=contract.accepted_at,
                ended_at=contract.ended_at,
            )
        )
        self._session.flush()

    def save_times(self, contract: Contract) -> None:
        """Write since when and until when a version is in force."""
        query = select(ContractRow).where(ContractRow.id == contract.id, ContractRow.version == contract.version)
        row = self._session.exec(query).one()
        row.accepted_at, row.ended_at = contract.accepted_at, contract.ended_at
        self._session.add(row)

    def versions(self, contract: str, *, lock: bool = False) -> list[Contract]:
        """All versions of a contract, the oldest first; NotFound.

        lock : until the transaction ends, nobody else changes or pays this contract.
        """
        query = select(ContractRow).where(ContractRow.id == contract).order_by(col(ContractRow.version))
        query = query.with_for_update() if lock else query
        found = [_contract(row) for row in self._session.exec(query)]
        if not found:
            raise NotFound("contract", contract)
        return found

    def all(self, *, dso: str | None = None, participant: str | None = None) -> list[Contract]:
        """Newest versions, in the order of ids: all, or those of a DSO or a participant."""
        query = _all(of_dso=dso is not None, of_participant=participant is not None)
        values = {name: each for name, each in (("of", dso), ("by", participant)) if each is not None}
        rows = asked(self._session, query, **values)
        return [_contract(row) for row in {row.id: row for row in rows}.values()]

    def in_force(
        self, network: str, now: datetime, *, participant: str | None = None, lock: bool = False
    ) -> list[Contract]:
        """Versions in force on a network now, in the order of ids; when they apply is for their terms to say.

        lock : until the transaction ends, no other auction counts what is left of them.
        """
        query = select(ContractRow).where(ContractRow.network == network)
        if participant is not None:
            query = query.where(ContractRow.participant == participant)
        query = query.with_for_update() if lock else query
        rows = self._session.exec(query.order_by(col(ContractRow.id), col(ContractRow.version)))
        return [contract for contract in map(_contract, rows) if contract.in_force(now)]

    def add_rights(self, auction: str, rights: Iterable[Right]) -> None:
        """Keep the rights of an auction's frozen book."""
        for each in rights:
            document = each.model_dump_json()
            row = RightRow(auction=auction, offer=each.offer.id, contract=each.contract, document=document)
            self._session.add(row)
        self._session.flush()

    def rights(self, auction: str) -> tuple[Right, ...]:
        """Rights in an auction's frozen book, in the order of their offers' ids."""
        query = select(RightRow.document).where(RightRow.auction == auction).order_by(col(RightRow.offer))
        return tuple(Right.model_validate_json(document) for document in self._session.exec(query))

    def uses(self, contracts: Collection[str], *, other_than: str) -> list[Use]:
        """What auctions other than one called of some contracts; where that is not decided yet, all that they may."""
        query = (
            select(RightRow, AuctionRow.state, AwardRow.document)
            .join(AuctionRow, col(AuctionRow.id) == RightRow.auction)
            .outerjoin(
                AwardRow,
                (col(AwardRow.auction) == RightRow.auction) & (col(AwardRow.offer) == RightRow.offer),
            )
            .where(RightRow.auction != other_than, AuctionRow.state != "failed", col(RightRow.contract).in_(contracts))
        )
        found = []
        for row, state, award in self._session.exec(query.order_by(col(RightRow.auction), col(RightRow.offer))):
            right, delivery = Right.model_validate_json(row.document), self._delivery(row.auction)
            undecided = state not in ("published", "settled")
            called = None if undecided else Award.model_validate_json(award).power_w if award else ()
            found.append(use_of(right, delivery, called))
        return found

    def called(self, auction: str) -> dict[str, Contract]:
        """The versions of contracts whose rights stood in an auction's book, by id."""
        return {
            right.contract: contract
            for right in self.rights(auction)
            for contract in self.versions(right.contract)
            if contract.version == right.version
        }

    def post(self, transfers: Iterable[ContractTransfer]) -> None:
        """Write ledger entries."""
        for each in transfers:
            self._session.add(ContractTransferRow(**each.model_dump()))
        self._session.flush()

    def transfers(self, *, contract: str | None = None, auction: str | None = None) -> list[ContractTransfer]:
        """Entries of a contract's ledger, or of an auction's called rights, in the order they were written."""
        query = select(ContractTransferRow).order_by(col(ContractTransferRow.sequence))
        if contract is not None:
            query = query.where(ContractTransferRow.contract == contract)
        if auction is not None:
            query = query.where(ContractTransferRow.auction == auction)
        return _transfers(self._session.exec(query))

    def paid_between(self, contract: str, span: Span) -> list[ContractTransfer]:
        """What was paid for standing ready in some of a span of time, in the order it was written."""
        query = select(ContractTransferRow).where(
            ContractTransferRow.contract == contract,
            col(ContractTransferRow.auction).is_(None),
            ContractTransferRow.start < span.end,
            ContractTransferRow.end > span.start,
        )
        return _transfers(self._session.exec(query.order_by(col(ContractTransferRow.sequence))))

    def _delivery(self, auction: str) -> MarketPeriod:
        return Auctions(self._session).get(auction).delivery


def _transfers(rows: Iterable[ContractTransferRow]) -> list[ContractTransfer]:
    return [ContractTransfer.model_validate(row.model_dump(exclude={"sequence"})) for row in rows]


def _contract(row: ContractRow | Row[*tuple[Any, ...]]) -> Contract:
    return Contract(
        id=row.id,
        version=row.version,
        dso=row.dso,
        terms=_TERMS.validate_json(row.terms),
        proposed_at=row.proposed_at,
        accepted_at=row.accepted_at,
        ended_at=row.ended_at,
    )
