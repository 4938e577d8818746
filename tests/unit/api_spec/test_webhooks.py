"""How a receiver knows that a webhook comes from the market: held to the library of the Standard Webhooks project."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook as Signer

from api_spec.event_stream import StreamMessage, messages
from api_spec.events import AuctionOpened
from api_spec.webhooks import NotVerified, WebhookTerms, verified

NOW = datetime(2026, 1, 14, 12, tzinfo=UTC)
SECRET, OLD = ("whsec_" + base64.b64encode(bytes([k]) * 32).decode() for k in (1, 2))
EVENT = AuctionOpened(type="auction.opened", id="evt_1", occurred_at=NOW, auction="auc_1")
BODY = EVENT.model_dump_json()


def headers(*secrets: str, body: str = BODY, at: datetime = NOW) -> dict[str, str]:
    signatures = [Signer(secret).sign("evt_1", at, body) for secret in secrets]
    stamp = str(int(at.timestamp()))
    return {"Webhook-Id": "evt_1", "Webhook-Timestamp": stamp, "Webhook-Signature": " ".join(signatures)}


def test_what_the_library_signs_is_verified() -> None:
    assert verified(BODY.encode(), headers(SECRET), SECRET, now=NOW) == EVENT


def test_any_of_several_signatures_will_do() -> None:
    for secret in (SECRET, OLD):
        assert verified(BODY.encode(), headers(SECRET, OLD), secret, now=NOW) == EVENT


@pytest.mark.parametrize("late", [timedelta(minutes=5, seconds=1), -timedelta(minutes=5, seconds=1)])
def test_what_was_signed_long_ago_or_in_the_future_is_not_believed(late: timedelta) -> None:
    with pytest.raises(NotVerified, match="more than"):
        verified(BODY.encode(), headers(SECRET), SECRET, now=NOW + late)


def test_one_changed_byte_is_noticed() -> None:
    signed = headers(SECRET)
    for body, given, secret in (
        (BODY.replace("auc_1", "auc_2"), signed, SECRET),
        (BODY, {**signed, "Webhook-Id": "evt_2"}, SECRET),
        (BODY, {**signed, "Webhook-Timestamp": str(int(NOW.timestamp()) + 1)}, SECRET),
        (BODY, signed, OLD),
        (BODY, {**signed, "Webhook-Signature": "v1a," + signed["Webhook-Signature"][3:]}, SECRET),
    ):
        with pytest.raises(NotVerified, match="no signature fits"):
            verified(body.encode(), given, secret, now=NOW)


@pytest.mark.parametrize(
    "broken", [{"Webhook-Signature": "v1,!!"}, {"Webhook-Timestamp": "soon"}, {"Webhook-Timestamp": "9" * 30}]
)
def test_malformed_headers_are_refused_and_never_crash(broken: dict[str, str]) -> None:
    with pytest.raises(NotVerified):
        verified(BODY.encode(), {**headers(SECRET), **broken}, SECRET, now=NOW)
    with pytest.raises(NotVerified, match="missing"):
        verified(BODY.encode(), {}, SECRET, now=NOW)


@pytest.mark.parametrize(
    "url", ["example.org", "ftp://example.org/", "https://", "https://a:b@example.org/", "https://x/#y"]
)
def test_a_url_that_cannot_be_called_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        WebhookTerms(url=url)


async def test_a_stream_is_read_as_the_standard_says() -> None:
    """Comments are passed over, several data lines are one text, an id alone is told, what is cut off is not."""

    async def lines() -> object:
        for line in (
            ": ping", "", "id: a", "retry: 9", "", "event: e", "data: 1", "data:  2", "id:b", "", "data: cut off",
        ):  # fmt: skip
            yield line

    found = [each async for each in messages(lines())]  # type: ignore[arg-type]
    assert found == [StreamMessage("message", "", "a"), StreamMessage("e", "1\n 2", "b")]
