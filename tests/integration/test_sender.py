"""The sender of webhooks against a real receiver that misbehaves, from both databases."""

import asyncio
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import Engine
from standardwebhooks import Webhook as Verifier

from api_spec.events import EVENT, EventType
from api_spec.organisation import Organisation
from api_spec.webhooks import Delivery, NotVerified, Webhook, WebhookTerms, verified
from market.clock import SimulatedClock
from market.notices.story import Notice, opened
from market.push.calling import Caller
from market.push.sender import LEASE, Sender
from market.store import UnitOfWork
from market.workflow.webhooks import OVERLAP, create_webhook, redeliver, rotate_secret
from tests.receiver import Receiver, nothing, status, without_end


class Market:
    """A market's database with two organisations, and its time."""

    def __init__(self, engine: Engine) -> None:
        """Begin now: the library that verifies signatures asks the machine's clock."""
        self.engine, self.clock = engine, SimulatedClock(datetime.now(UTC))
        with UnitOfWork(engine) as work:
            for name in ("a", "b"):
                organisation = Organisation(id=name, name=name, role="aggregator")
                work.participants.add(organisation, client_id=name, secret_hash="#", now=self.clock.now())
            work.commit()

    def webhook(self, url: str, *, owner: str = "a", types: tuple[EventType, ...] | None = None) -> Webhook:
        with UnitOfWork(self.engine) as work:
            terms = WebhookTerms(url=url, types=types)
            made = create_webhook(terms, organisation=owner, allow_private=True, now=self.clock.now(), work=work)
            work.commit()
        return made

    def secret(self, webhook: Webhook) -> str:
        with UnitOfWork(self.engine) as work:
            return work.webhooks.with_secret(webhook.id, organisation="a").secret

    def tell(self, *auctions: str) -> list[str]:
        """Ids of one event for each."""
        return self.say([each for auction in auctions for each in opened(auction, now=self.clock.now())])

    def say(self, notices: list[Notice]) -> list[str]:
        with UnitOfWork(self.engine) as work:
            work.outbox.add(notices)
            work.commit()
        return [each.event.id for each in notices]

    async def send(self, caller: Caller | None = None) -> None:
        """Send all that is due."""
        async with caller or Caller(allow_private=True, limit_s=2) as made:
            await Sender(self.engine, self.clock, made).settle()

    async def send_after(self, pause: timedelta) -> None:
        self.clock.advance_to(self.clock.now() + pause)
        await self.send()

    def deliveries(self, webhook: Webhook) -> list[Delivery]:
        with UnitOfWork(self.engine) as work:
            return work.notices.page(webhook.id, after=None, limit=1000)


@pytest.fixture
def market(migrated: Engine) -> Market:
    return Market(migrated)


async def test_a_delivery_is_signed_as_the_standard_wants_and_says_what_happened(market: Market) -> None:
    async with Receiver() as receiver:
        webhook = market.webhook(receiver.url)
        (event,) = market.tell("auc_1")
        await market.send()

        (received,) = receiver.received
        headers = dict(received.headers)
        assert headers["webhook-id"] == event
        assert headers["content-type"] == "application/json"
        Verifier(market.secret(webhook)).verify(received.body, headers)
        told = verified(received.body, headers, market.secret(webhook), now=market.clock.now())
        assert (told.id, told.type, told.auction) == (event, "auction.opened", "auc_1")
        (delivery,) = market.deliveries(webhook)
        assert (delivery.state, delivery.due_at) == ("delivered", None)
        assert [(each.status, each.failure) for each in delivery.attempts] == [(204, None)]
        await market.send()
        assert len(receiver.received) == 1, "what has arrived is not sent again"


async def test_what_failed_is_sent_again_after_five_seconds_and_is_the_same(market: Market) -> None:
    async with Receiver([status(500)]) as receiver:
        webhook = market.webhook(receiver.url)
        (event,) = market.tell("auc_1")
        await market.send()
        await market.send_after(timedelta(seconds=4.9))
        assert receiver.ids == [event], "not before its time"
        await market.send_after(timedelta(seconds=1.2))

        assert receiver.ids == [event, event]
        first, second = receiver.received
        assert first.body == second.body
        (delivery,) = market.deliveries(webhook)
        assert [each.status for each in delivery.attempts] == [500, 204]
        assert delivery.attempts[0].failure == "not a 2xx answer"


async def test_after_ten_attempts_an_event_is_a_dead_letter_and_can_be_sent_again(market: Market) -> None:
    async with Receiver([status(503)] * 10) as receiver:
        webhook = market.webhook(receiver.url)
        first, second = market.tell("auc_1", "auc_2")
        await market.send()
        for hours in range(1, 30):
            await market.send_after(timedelta(hours=hours))

        assert receiver.ids == [first] * 10 + [second], "one dead letter does not stop what comes after it"
        dead, delivered = market.deliveries(webhook)
        assert (dead.state, len(dead.attempts), delivered.state) == ("dead", 10, "delivered")
        with UnitOfWork(market.engine) as work:
            redeliver(webhook.id, dead.id, organisation="a", now=market.clock.now(), work=work)
            work.commit()
        await market.send()
        assert receiver.ids[-1] == first
        assert [each.state for each in market.deliveries(webhook)] == ["delivered", "delivered"]


async def test_events_arrive_in_order_also_where_one_has_to_be_repeated(market: Market) -> None:
    async with Receiver([status(204), status(500)]) as receiver:
        market.webhook(receiver.url)
        told = market.tell("auc_1", "auc_2", "auc_3")
        await market.send()
        assert receiver.ids == told[:2], "the third waits for the second"
        await market.send_after(timedelta(seconds=6))

        assert receiver.ids == [told[0], told[1], told[1], told[2]]


async def test_a_receiver_that_is_gone_is_told_nothing_any_more(market: Market) -> None:
    async with Receiver([status(410)]) as receiver:
        webhook = market.webhook(receiver.url)
        market.tell("auc_1", "auc_2")
        await market.send()
        market.tell("auc_3")
        await market.send_after(timedelta(days=1))

        assert len(receiver.received) == 1
        assert [each.state for each in market.deliveries(webhook)] == ["dead", "dead"], "the third was not queued"
        with UnitOfWork(market.engine) as work:
            assert work.webhooks.get(webhook.id, organisation="a").disabled_at is not None


async def test_a_receiver_that_hangs_holds_up_nobody_else(market: Market) -> None:
    async with Receiver([nothing]) as slow, Receiver() as quick:
        hanging = market.webhook(slow.url)
        market.webhook(quick.url, owner="b")
        told = market.tell(*(f"auc_{k}" for k in range(5)))
        started = time.monotonic()
        async with Caller(allow_private=True, limit_s=3) as caller:
            sending = asyncio.create_task(Sender(market.engine, market.clock, caller).run())
            while len(quick.received) < 5:
                await asyncio.sleep(0.01)
                assert time.monotonic() < started + 2.5, "the quick one waits for the slow one"
            while not market.deliveries(hanging)[0].attempts:
                await asyncio.sleep(0.05)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

        assert quick.ids == told
        assert market.deliveries(hanging)[0].attempts[0].failure == "no answer within 3 s"


async def test_redirects_are_not_followed(market: Market) -> None:
    async with Receiver() as inside, Receiver([status(307, f"Location: {inside.url}")]) as receiver:
        webhook = market.webhook(receiver.url)
        market.tell("auc_1")
        await market.send()

        assert inside.received == []
        (attempt,) = market.deliveries(webhook)[0].attempts
        assert (attempt.status, attempt.failure) == (307, "redirects are not followed")


async def test_a_receiver_that_refuses_the_connection_is_tried_again(market: Market) -> None:
    async with Receiver() as receiver:
        webhook = market.webhook(receiver.url)
    market.tell("auc_1")
    await market.send()

    (delivery,) = market.deliveries(webhook)
    assert delivery.state == "pending"
    assert delivery.attempts[0].failure == "the call failed (ConnectError)"


async def test_a_body_without_end_is_not_read(market: Market) -> None:
    async with Receiver([without_end]) as receiver:
        webhook = market.webhook(receiver.url)
        market.tell("auc_1")
        started = time.monotonic()
        await market.send()

        assert time.monotonic() < started + 1.5
        assert market.deliveries(webhook)[0].state == "delivered"


async def test_both_secrets_sign_for_a_day_after_a_rotation(market: Market) -> None:
    async with Receiver() as receiver:
        webhook = market.webhook(receiver.url)
        old = market.secret(webhook)
        with UnitOfWork(market.engine) as work:
            rotate_secret(webhook.id, organisation="a", now=market.clock.now(), work=work)
            work.commit()
        new = market.secret(webhook)
        market.tell("auc_1")
        await market.send()
        market.clock.advance_to(market.clock.now() + OVERLAP)
        market.tell("auc_2")
        await market.send()

        within, after = receiver.received
        day = market.clock.now() - OVERLAP
        assert verified(within.body, within.headers, old, now=day) == verified(
            within.body, within.headers, new, now=day
        )
        assert EVENT.validate_json(after.body) == verified(after.body, after.headers, new, now=market.clock.now())
        with pytest.raises(NotVerified):
            verified(after.body, after.headers, old, now=market.clock.now())


async def test_a_webhook_is_told_what_it_asks_for_and_may_hear_of(market: Market) -> None:
    async with Receiver() as receiver, Receiver() as other:
        market.webhook(receiver.url, types=("request.submitted", "award.made"))
        market.webhook(other.url, owner="b")
        (public,) = opened("auc_1", now=market.clock.now())
        (own,) = market.say([Notice(public.event.model_copy(update={"id": "evt_own"}), "b")])
        market.say([public])
        await market.send()

        assert receiver.received == []
        assert other.ids == [own, public.event.id]


async def test_many_senders_deliver_each_event_once_and_in_order(market: Market) -> None:
    async with Receiver() as first, Receiver() as second:
        market.webhook(first.url)
        market.webhook(second.url, owner="b")
        told = market.tell(*(f"auc_{k}" for k in range(12)))
        async with Caller(allow_private=True) as caller:
            await asyncio.gather(*(Sender(market.engine, market.clock, caller).settle() for _ in range(4)))
            while len(first.ids) + len(second.ids) < 24:  # a sender has settled where others hold all that is due
                await Sender(market.engine, market.clock, caller).settle()

        assert first.ids == told
        assert second.ids == told


async def test_what_a_sender_that_died_was_sending_is_sent_again_when_its_lease_is_over(market: Market) -> None:
    async with Receiver([nothing]) as receiver:
        webhook = market.webhook(receiver.url)
        (event,) = market.tell("auc_1")
        async with Caller(allow_private=True) as caller:
            dying = asyncio.create_task(Sender(market.engine, market.clock, caller).run())
            while not receiver.received:
                await asyncio.sleep(0.01)
            dying.cancel()
            await asyncio.gather(dying, return_exceptions=True)
        await market.send_after(LEASE - timedelta(seconds=1))
        assert receiver.ids == [event], "another may be at it still"
        await market.send_after(timedelta(seconds=1))

        assert receiver.ids == [event, event]
        assert market.deliveries(webhook)[0].state == "delivered"


async def test_a_sender_whose_lease_is_over_does_not_overwrite_what_the_next_one_found(market: Market) -> None:
    async with Receiver() as receiver:
        webhook = market.webhook(receiver.url)
        market.tell("auc_1")
        now = market.clock.now()
        with UnitOfWork(market.engine) as work:
            (stale,) = work.notices.claim(now=now, until=now + LEASE, most=9)
            work.commit()
        await market.send_after(LEASE)
        before = market.deliveries(webhook)
        with UnitOfWork(market.engine) as work:
            work.notices.record(stale, before[0].attempts[0], next_at=now, gone=True)
            work.commit()

        assert market.deliveries(webhook) == before
        assert before[0].state == "delivered"


async def test_a_webhook_that_is_removed_is_not_sent_to(market: Market) -> None:
    async with Receiver() as receiver:
        webhook = market.webhook(receiver.url)
        market.tell("auc_1")
        with UnitOfWork(market.engine) as work:
            work.webhooks.remove(webhook.id, organisation="a")
            work.commit()
        market.tell("auc_2")
        await market.send()

        assert receiver.received == []


@pytest.fixture
def refusing() -> Callable[..., Caller]:
    """A caller as it is by default, for whom names have the addresses that a test gives them."""

    def made(
        *addresses: str,
        private: bool = False,
        asked: list[str] | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> Caller:
        async def resolve(host: str, port: int) -> list[str]:
            if asked is not None:
                asked.append(host)
            return list(addresses)

        return Caller(allow_private=private, limit_s=2, resolve=resolve, verify=verify)

    return made


@pytest.mark.parametrize(
    "addresses", [("127.0.0.1",), ("9.9.9.9", "10.0.0.1"), ("::ffff:127.0.0.1",), ("fe80::1%eth0",)]
)
async def test_a_name_with_an_address_inside_is_not_called(
    market: Market, refusing: Callable[..., Caller], addresses: tuple[str, ...]
) -> None:
    async with Receiver() as receiver:
        webhook = market.webhook(f"https://harmless.example:{receiver.port}/")
        market.tell("auc_1")
        await market.send(refusing(*addresses))

        assert receiver.received == []
        assert market.deliveries(webhook)[0].attempts[0].failure == "the host has an address that is not public"


async def test_without_tls_nothing_is_called_even_where_a_webhook_says_so(
    market: Market, refusing: Callable[..., Caller]
) -> None:
    webhook = market.webhook("http://harmless.example/")
    market.tell("auc_1")
    await market.send(refusing("9.9.9.9"))

    assert market.deliveries(webhook)[0].attempts[0].failure == "only https is called"


async def test_the_address_that_was_checked_is_the_one_that_is_called(
    market: Market, refusing: Callable[..., Caller]
) -> None:
    """The name exists for the one question only: a second one, by whoever connects, would find nothing."""
    asked: list[str] = []
    async with Receiver([status(500)]) as receiver:
        market.webhook(f"http://rebound.example:{receiver.port}/x?y=1")
        market.tell("auc_1")
        await market.send(refusing("127.0.0.1", private=True, asked=asked))
        market.clock.advance_to(market.clock.now() + timedelta(seconds=6))
        await market.send(refusing("127.0.0.1", private=True, asked=asked))

        assert [each.headers["host"] for each in receiver.received] == [f"rebound.example:{receiver.port}"] * 2
        assert asked == ["rebound.example"] * 2, "once for each attempt"


async def test_tls_verifies_the_name_although_an_address_is_called(
    market: Market, refusing: Callable[..., Caller], tmp_path: Path
) -> None:
    server, trusting = certified("shop.example", tmp_path)
    async with Receiver(tls=server) as receiver:
        right = market.webhook(f"https://shop.example:{receiver.port}/")
        wrong = market.webhook(f"https://other.example:{receiver.port}/", owner="b")
        market.tell("auc_1")
        await market.send(refusing("127.0.0.1", private=True, verify=trusting))

        assert market.deliveries(right)[0].state == "delivered"
        assert market.deliveries(wrong)[0].attempts[0].failure == "the call failed (ConnectError)"
        assert len(receiver.received) == 1


def certified(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of its own for a name, and a client's that believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file = folder / "server.pem"
    file.write_bytes(secret + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=pem.decode())
