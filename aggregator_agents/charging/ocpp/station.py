"""A charger behind OCPP as ChargerHardware, whatever version it speaks and however often it connects.

It believes meters, not answers: what was accepted is only what was said. What it asks for ends with the lease.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import inf
from types import MappingProxyType
from typing import Any, Final

from aggregator_agents.charging.hardware import HardwareSilent, PlugReading
from aggregator_agents.charging.ocpp.carrying import LeaseDesk, carried
from aggregator_agents.charging.ocpp.dialect import Desk, Dialect, Request
from aggregator_agents.charging.ocpp.dialect2 import Dialect2
from aggregator_agents.charging.ocpp.dialect16 import Dialect16
from aggregator_agents.charging.ocpp.events import Began, Booted, Event, Over
from aggregator_agents.charging.ocpp.frames import BadFrame, Call, Payload, Version
from aggregator_agents.charging.ocpp.ledger import Ledger, Observation, PlugRecord
from aggregator_agents.charging.ocpp.link import Link, Refused, Socket, Unanswered
from aggregator_agents.charging.ocpp.loading import abilities_of, load_fallback, load_meters, load_profile, tell_again
from aggregator_agents.charging.ocpp.profiles import (
    DYNAMIC_SHARE,
    LEAD_S,
    Abilities,
    Setpoint,
    lead_s,
    lease_profile,
    setpoint_profile,
    transaction_id,
    update,
)
from aggregator_agents.dispatch.lease import TTL_S
from aggregator_agents.fleet import Charger

LOG: Final = logging.getLogger(__name__)
_TOLD_WITHIN_S: Final = 0.5
DIALECTS: Final[dict[Version, Dialect]] = {"1.6": Dialect16(), "2.0.1": Dialect2("2.0.1"), "2.1": Dialect2("2.1")}
NOTHING: Final[Mapping[str, int]] = MappingProxyType({})

WholeAmps = tuple[int, int, int]


class NotHeld(HardwareSilent):
    """More was to be signalled than the station holds a lease for."""


@dataclass(frozen=True)
class StationTerms:
    """How a station is treated.

    floor_a : that the whole station may draw per phase while nothing is heard of us. hosted : we act for it; one with
    a virtual aggregator of its own is left to that. call_timeout_s : for an answer. silent_after_s : of no meter sample
    in a transaction. boot_wait_s : for a BootNotification, before a station that connects is asked anything.
    """

    floor_a: int
    hosted: bool = True
    call_timeout_s: float = 10.0
    silent_after_s: float = 20.0
    boot_wait_s: float = 2.0


class Station:
    """One charger; see ChargerHardware. Plug n is its connector or EVSE n.

    fallback_loaded : the station keeps to its floor without us.
    """

    def __init__(
        self,
        charger: Charger,
        terms: StationTerms,
        desk: Desk,
        leases: LeaseDesk | None = None,
        *,
        seconds: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Not connected yet. leases : who answers its virtual aggregator's requests, where it has one of its own."""
        self.charger, self.terms = charger, terms
        self.fallback_loaded = False
        self._desk, self._leases, self._seconds, self._clock = desk, leases, seconds, clock
        self._ledger = Ledger(tuple(plug.id for plug in charger.plugs), terms.floor_a)
        self._number = {plug.id: number for number, plug in enumerate(charger.plugs, 1)}
        self._link: Link | None = None
        self._dialect = DIALECTS["1.6"]
        self._able = Abilities()
        self._prepared: Version | None = None
        self._ready = asyncio.Event()
        self._preparing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # The plug of which the station was asked to tell the transaction, and whether it did.
        self._asked_for: int | None = None
        self._placing = asyncio.Event()
        # What the station may draw at its terminals until when, and until when it has been told so.
        self._held_a = self._floor_a
        self._held_until_s = inf
        self._told_a: WholeAmps | None = None
        self._told_until_s = 0.0

    @property
    def version(self) -> Version | None:
        """Of OCPP on the present connection; None without one."""
        return None if self._link is None else self._link.version

    async def serve(self, socket: Socket, version: Version) -> None:
        """Speak with the station until the connection is closed; an older connection is given up for it."""
        link = Link(self.charger.id, socket, version, self._answer, timeout_s=self.terms.call_timeout_s)
        before, self._link, self._dialect = self._link, link, DIALECTS[version]
        LOG.info("%s: connected with OCPP %s", self.charger.id, version)
        if before is not None:
            self._spawn(before.close("replaced by another connection"))
        if self._prepared == version:
            self._ready.set()
            self._spawn(self._find_transactions(waits_s=_TOLD_WITHIN_S))
        else:
            self._prepare(after_s=self.terms.boot_wait_s, booted=False)
        try:
            await link.run()
        finally:
            if self._link is link:
                self._link = None
                self._ready.clear()
                self._told_a, self._told_until_s = None, 0.0

    async def close(self) -> None:
        """End the connection, and whatever is still going on."""
        if self._link is not None:
            await self._link.close("the central system stops")
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def ready(self) -> None:
        """Wait until the station is connected and has been told its settings and its fallback."""
        await self._ready.wait()

    async def read(self) -> tuple[PlugReading, ...]:
        """See ChargerHardware. A plug that is not metered in a transaction makes the whole charger silent.

        Meters are sampled every few seconds: a plug is left out as long as its last sample is of a time when its
        vehicle need not have followed its signal yet, though it should have by now.
        """
        if self._link is None:
            raise HardwareSilent(f"{self.charger.id} is not connected")
        now_s = self._seconds()
        for plug in self._ledger.plugs.values():
            if plug.transaction is not None and now_s - plug.sampled_s > self.terms.silent_after_s:
                raise HardwareSilent(f"{plug.id} has not been metered for {self.terms.silent_after_s:g} s")
        return tuple(each.reading(now_s) for each in self._ledger.plugs.values() if not each.is_unproven(now_s))

    def observations(self) -> tuple[Observation, ...]:
        """What was asked of every plug, what was answered, and what is measured."""
        now_s = self._seconds()
        return tuple(plug.observation(now_s) for plug in self._ledger.plugs.values())

    def token(self, plug: str) -> str | None:
        """The driver's token in the transaction at a plug; None without one, or where it was not told."""
        return self._ledger.plugs[self._number[plug]].token

    async def hold(self, limit_a: WholeAmps, *, until_s: float) -> None:
        """What the whole station may draw on each phase of the site, until when on the monotonic clock.

        Without a lease that is the floor, for ever (infinity). To be called every second: it renews what the station
        has been told before that ends. Raises HardwareSilent.
        """
        first, second, third = self.charger.terminals
        self._held_a, self._held_until_s = (limit_a[first], limit_a[second], limit_a[third]), until_s
        self._must_be_ready()
        now_s = self._seconds()
        could_s = min(until_s, now_s + TTL_S)
        late = self._told_until_s - now_s < self._fresh_s and could_s > self._told_until_s + LEAD_S
        if late or self._held_a != self._told_a:
            await self._renew(now_s)

    async def signal(self, plug: str, limit_a: int, *, holds_s: float = inf) -> None:
        """See ChargerHardware. Before OCPP 2.1 nothing can be discharged: such a signal pauses.

        What holds for ever, within the floor, is renewed by `hold` as the rest is: all plugs fall back together.
        """
        number = self._number[plug]
        record = self._ledger.plugs[number]
        limit_a = min(limit_a, self.charger.plugs[number - 1].max_a)
        if self._dialect.version != "2.1":
            limit_a = max(0, limit_a)
        self._must_be_ready()
        if record.transaction is None:
            return
        now_s = self._seconds()
        if limit_a > max(self._allowed_a(now_s)):
            raise NotHeld(f"{self.charger.id} has no lease for {limit_a} A")
        if self._told_until_s < now_s + min(holds_s - LEAD_S, self._fresh_s):
            await self._renew(now_s, {plug: limit_a})
        elif not record.is_told(limit_a, self._told_until_s - lead_s(self._told_until_s - now_s)):
            await self._set(record, limit_a, most_s=holds_s)

    async def open_contactor(self, plug: str) -> None:
        """See ChargerHardware: the transaction is stopped; asked again, the plug is taken out of service as well."""
        number = self._number[plug]
        record = self._ledger.plugs[number]
        record.cut, record.cuts = True, record.cuts + 1
        if record.transaction is not None:
            request = self._dialect.stop(record.transaction)
            if self._dialect.accepted(request, await self._ask(request)) and record.cuts == 1:
                return
        request = self._dialect.availability(number, operative=False)
        if not self._dialect.accepted(request, await self._ask(request)):
            raise Refused(f"{self.charger.id} does not cut {plug} off")

    @property
    def _fresh_s(self) -> float:
        """What is left at least of the station's profiles before they are renewed."""
        return TTL_S * (DYNAMIC_SHARE if self._able.dynamic else 1 / 2)

    @property
    def _floor_a(self) -> WholeAmps:
        return self.terms.floor_a, self.terms.floor_a, self.terms.floor_a

    def _allowed_a(self, now_s: float) -> WholeAmps:
        return self._held_a if now_s < self._held_until_s else self._floor_a

    def _must_be_ready(self) -> None:
        if self._link is None or not self._ready.is_set():
            raise HardwareSilent(f"{self.charger.id} is not connected, or not prepared yet")

    async def _renew(self, now_s: float, changed: Mapping[str, int] = NOTHING) -> None:
        """Tell the station anew what it may draw and every setpoint that still holds, all until the same moment.

        Setpoints in ascending order: see turns_profile. changed : other setpoints than before, by plug.
        """
        allowed_a, ends_s = self._allowed_a(now_s), self._held_until_s
        leased = now_s < ends_s < inf
        self._told_until_s = min(ends_s, now_s + TTL_S) if leased else now_s + TTL_S
        if leased:
            left_s = self._told_until_s - now_s
            payload = lease_profile(self._dialect.version, allowed_a, left_s, self._able, now=self._station_now())
            if payload is not None and not await load_profile(self._ask, self._dialect, payload):
                LOG.info("%s: the limit of the whole station is not taken", self.charger.id)
        self._told_a = self._held_a
        plugs = self._ledger.plugs.values()
        setpoints = {each.id: each.repeated_a for each in plugs if each.asked_a is not None and now_s < each.until_s}
        setpoints |= changed
        failure: HardwareSilent | None = None
        for plug in sorted(plugs, key=lambda each: setpoints.get(each.id, 0)):
            if plug.id in setpoints:
                try:
                    await self._set(plug, min(setpoints[plug.id], max(allowed_a)))
                except HardwareSilent as refusal:
                    failure = failure or refusal
        if failure is not None:
            if isinstance(failure, Unanswered):
                self._told_a = None
            raise failure

    async def _set(self, plug: PlugRecord, limit_a: int, *, most_s: float = inf) -> None:
        transaction, now_s = plug.transaction, self._seconds()
        if transaction is None:
            return
        left_s = min(self._told_until_s - now_s, most_s)
        setpoint = Setpoint(self._number[plug.id], transaction, limit_a, left_s)
        payload = setpoint_profile(self._dialect.version, setpoint, self._able, now=self._station_now())
        if payload is None:
            raise NotHeld(f"{self.charger.id} has no lease for {plug.id}")
        until_s = now_s + left_s - lead_s(left_s)
        try:
            done = await load_profile(self._ask, self._dialect, payload)
        except Refused:
            plug.ask(limit_a, "refused", now_s, until_s)
            raise
        except Unanswered:
            plug.ask(limit_a, "silent", now_s, until_s)
            raise
        plug.ask(limit_a, "accepted" if done else "refused", now_s, until_s)
        if not done:
            raise Refused(f"{self.charger.id} rejects the profile of {plug.id}")

    async def _ask(self, request: Request) -> Payload:
        if self._link is None:
            raise HardwareSilent(f"{self.charger.id} is not connected")
        return await self._link.call(request)

    def _station_now(self) -> datetime:
        """Now, by the station's clock."""
        return self._clock() - timedelta(seconds=self._ledger.clock.behind_s)

    async def _answer(self, call: Call) -> Payload:
        now, now_s = self._clock(), self._seconds()
        if call.action == "DataTransfer":
            return await carried(self.charger.id, call.payload, self._leases, version=self._dialect.version)
        if call.action == "PullDynamicScheduleUpdate":
            return self._update_of(call.payload["chargingProfileId"], now_s)
        answer = self._dialect.answer(self.charger.id, call, self._desk, now=now)
        if answer is None:
            raise BadFrame("NotSupported", "this action is not supported")
        payload, events = answer
        for event in events:
            self._heard(self._placed(event), now_s, now)
        return payload

    def _placed(self, event: Event) -> Event:
        """A transaction that began before we did is at the plug that the station was asked for."""
        asked = self._asked_for
        if isinstance(event, Began) and event.triggered and event.plug is None and asked is not None:
            self._placing.set()
            return replace(event, plug=asked)
        return event

    def _heard(self, event: Event, now_s: float, now: datetime) -> None:
        self._ledger.note(event, now_s=now_s, now=now)
        if isinstance(event, Booted):
            LOG.info("%s: %s has started", self.charger.id, event.model)
            self._prepare(after_s=0.0, booted=True)
        elif isinstance(event, Began):
            self._admit(event)
        elif isinstance(event, Over):
            LOG.info("%s: transaction %s is over", self.charger.id, event.transaction)
            for number, plug in self._ledger.plugs.items():
                # Out of service it could not tell when the vehicle is unplugged.
                if plug.open and plug.cuts > 1:
                    plug.cuts = 1
                    self._spawn(self._back_in_service(number))

    def _admit(self, event: Began) -> None:
        """Stop a transaction that may not be.

        Of an unknown token, of a vehicle that is cut off until it is unplugged, or at a plug that we do not know: what
        it draws would be at nobody's account.
        """
        plug = self._ledger.plug_of(event.transaction)
        if plug is None and not self._ready.is_set():
            return
        unknown = event.token is not None and not self._desk.tokens(event.token)
        if plug is None or plug.cut or unknown:
            LOG.warning("%s: transaction %s may not be", self.charger.id, event.transaction)
            self._spawn(self._stop(event.transaction))

    async def _stop(self, transaction: str) -> None:
        await self._ask(self._dialect.stop(transaction))

    async def _back_in_service(self, number: int) -> None:
        await self._ask(self._dialect.availability(number, operative=True))

    def _update_of(self, profile: int, now_s: float) -> Payload:
        """A dynamic profile's numbers, as long as the lease outlasts the duration that they begin anew."""
        left_s = self._told_until_s - now_s
        for number, plug in self._ledger.plugs.items():
            if profile == transaction_id(number) and plug.transaction and now_s < plug.until_s:
                if left_s < TTL_S * DYNAMIC_SHARE:
                    break
                setpoint = Setpoint(number, plug.transaction, plug.repeated_a, left_s)
                return {"status": "Accepted", "scheduleUpdate": update(setpoint, self._able)}
        return {"status": "Rejected"}

    async def _find_transactions(self, *, waits_s: float) -> None:
        """Ask for every plug in turn: from OCPP 2.0.1 on only the first event of a transaction has to name its plug."""
        for number, plug in self._ledger.plugs.items():
            self._asked_for = number
            self._placing.clear()
            told = await tell_again(self._ask, self._dialect, number)
            if told and plug.transaction is None and self._dialect.version != "1.6":
                with suppress(TimeoutError):
                    async with asyncio.timeout(waits_s):
                        await self._placing.wait()
        self._asked_for = None

    def _prepare(self, *, after_s: float, booted: bool) -> None:
        if self._preparing is not None:
            self._preparing.cancel()
        self._ready.clear()
        self._prepared, self._told_a, self._told_until_s = None, None, 0.0
        self._preparing = self._spawn(self._load(after_s, booted=booted))

    async def _load(self, after_s: float, *, booted: bool) -> None:
        await asyncio.sleep(after_s)
        while self._link is not None and not self._ready.is_set():
            try:
                await self._load_once(booted=booted)
            except Unanswered as failure:
                LOG.warning("%s", failure)
                await asyncio.sleep(self.terms.boot_wait_s)

    async def _load_once(self, *, booted: bool) -> None:
        dialect, terms = self._dialect, self.terms
        self._able = await abilities_of(self._ask, dialect)
        await load_meters(self._ask, dialect, self._desk)
        if terms.hosted:
            plugs = len(self.charger.plugs)
            self.fallback_loaded = await load_fallback(
                self._ask, dialect, self._able, plugs=plugs, floor_a=terms.floor_a
            )
            if not self.fallback_loaded:
                LOG.error("%s takes no fallback: without us it may draw all that it can", self.charger.id)
        await self._find_transactions(waits_s=0.0 if booted else _TOLD_WITHIN_S)
        self._prepared = dialect.version
        self._ready.set()
        LOG.info("%s: prepared, %s", self.charger.id, self._able)

    def _spawn(self, step: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(_logged(self.charger.id, step))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _logged(station: str, step: Awaitable[None]) -> None:
    try:
        await step
    except HardwareSilent as failure:
        LOG.warning("%s: %s", station, failure)
