"""The network tariff that an aggregator's sites are under, as the market tells it."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from api_spec.auction import Auction
from api_spec.client import MarketClient
from api_spec.ids import BusId
from api_spec.period import MarketPeriod
from api_spec.tariffs import AnnouncedWindow, Tariff, TariffPrices

_BEYOND: Final = timedelta(days=1)
"""How far plans look past the end of a delivery."""


class UnknownTariff(LookupError):
    """The network has no tariff of this id or name."""

    def __init__(self, tariff: str, network: str) -> None:
        """Name both."""
        super().__init__(f'network "{network}" has no tariff "{tariff}"')


class TariffWatch:
    """Prices at an aggregator's buses. What it keeps can be lost: it is asked for again when it may have changed."""

    def __init__(self, client: MarketClient, network: str, tariff: str | None) -> None:
        """Tariff : its id, or its name: of several, the last that was registered; None = there is none."""
        self._client, self._network, self._name = client, network, tariff
        self._basis: tuple[object, ...] = ()
        self._prices: dict[BusId, TariffPrices] = {}

    async def prices(
        self, auction: Auction, buses: Iterable[BusId], *, published: Iterable[Auction]
    ) -> dict[BusId, TariffPrices]:
        """By bus, from the beginning of a delivery to a day after its end; nothing without a tariff.

        published : auctions of the network whose nodal prices are known. Raises MarketError and UnknownTariff.
        """
        if self._name is None:
            return {}
        tariff = await self._tariff(self._name)
        period = _and_beyond(auction.delivery)
        kinds = {each.kind for each in tariff.components}
        windows: tuple[AnnouncedWindow, ...] = ()
        if "critical_capacity" in kinds:
            windows = await self._client.announced_windows(tariff.id)
        nodal = tuple(each.id for each in published) if "dlmp" in kinds else ()
        basis = (tariff.id, period, windows, nodal, own := tuple(buses))
        if basis != self._basis:
            self._prices = await self._asked(tariff, period, own, nodal="dlmp" in kinds)
            self._basis = basis
        return self._prices

    async def _asked(
        self, tariff: Tariff, period: MarketPeriod, buses: tuple[BusId, ...], *, nodal: bool
    ) -> dict[BusId, TariffPrices]:
        """Asked bus by bus only where prices differ between them."""
        if nodal:
            return {bus: await self._client.tariff_prices(tariff.id, period, bus) for bus in buses}
        everywhere = await self._client.tariff_prices(tariff.id, period)
        return dict.fromkeys(buses, everywhere)

    async def _tariff(self, name: str) -> Tariff:
        found = [each for each in await self._client.tariffs(self._network) if name in (each.id, each.name)]
        if not found:
            raise UnknownTariff(name, self._network)
        return max(found, key=lambda each: each.registered_at)


def _and_beyond(delivery: MarketPeriod) -> MarketPeriod:
    return MarketPeriod(
        start=delivery.start,
        resolution=delivery.resolution,
        count=delivery.count + max(1, _BEYOND // delivery.resolution),
    )
