"""The driver's page and endpoints over HTTP: what who sees, what is taken, and what is refused how."""

import re
import string
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from html import unescape
from importlib.resources import files
from pathlib import Path

import httpx
import pytest
from starlette.datastructures import Headers

from aggregator_agents.drivers.book import BookUnavailable, WishBook
from aggregator_agents.drivers.catalogue import CATALOGUE
from aggregator_agents.drivers.codes import BadKey, Codes, make_key
from aggregator_agents.drivers.desk import PlugView
from aggregator_agents.drivers.guard import MOST_BYTES, Rate, is_forged
from aggregator_agents.drivers.page import create_driver_app
from aggregator_agents.drivers.reception import Reception
from aggregator_agents.drivers.wishes import Stay, Wish
from aggregator_agents.drivers.words import FIELD, language_of
from aggregator_agents.fleet import Session
from tests.unit.aggregator_agents.parking import COPENHAGEN, KEY, Parking, parking
from tests.unit.aggregator_agents.places import HOUR, NOON, vehicle

PLUG = "lot-1-1"
CODE = Codes(KEY).code(PLUG)
PAGE = f"/p/{CODE}"
API = f"/v1/plugs/{CODE}"
STAY = Stay(PLUG, vehicle().id)
FIVE = "2026-01-15T17:00:00+01:00"


@pytest.fixture
def lot(tmp_path: Path) -> Iterator[Parking]:
    with parking(tmp_path) as made:
        yield made


@asynccontextmanager
async def phone(lot: Parking, language: str = "en") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_driver_app(lot.reception()))
    headers = {"Accept": "text/html", "Accept-Language": language}
    async with httpx.AsyncClient(transport=transport, base_url="http://plugs.test", headers=headers) as client:
        yield client


def hidden(page: httpx.Response) -> str:
    """The proof in a page's form."""
    found = re.search(r'name="proof" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


async def sit_down(browser: httpx.AsyncClient) -> httpx.Response:
    """Take the seat, and open the page."""
    taken = await browser.post(f"{PAGE}/seat", data={"proof": hidden(await browser.get(PAGE))})
    assert (taken.status_code, taken.headers["location"]) == (303, PAGE)
    return await browser.get(PAGE)


async def send(browser: httpx.AsyncClient, page: httpx.Response, **typed: str) -> httpx.Response:
    form = {"proof": hidden(page), "day": "2026-01-15", "time": "17:00", "amount": "20", "unit": "kwh", **typed}
    return await browser.post(f"{PAGE}/wish", data=form)


def said(answer: httpx.Response) -> str:
    """The text of a page."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).replace("\u00a0", " ").split())


# the page


async def test_what_a_driver_says_is_in_the_plan_that_he_sees_next(lot: Parking) -> None:
    """At 13:00 he says 17:00 and 20 kWh: 20 / 11.04 = 1.81 h, in quarter-hours ready by 15:00."""
    async with phone(lot) as browser:
        page = await sit_down(browser)
        assert "0.0 of 11.0 kWh delivered" in said(page)
        answer = await send(browser, page)
        assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
        page = await browser.get(PAGE)

    assert "0.0 of 20.0 kWh delivered" in said(page)
    assert "Ready by 15:00" in said(page)
    assert "Leaving 17:00" in said(page)
    assert "Your wish is in the plan." in said(page)
    assert lot.book.wishes == {STAY: Wish(departs=NOON + 4 * HOUR, energy_wh=20_000)}


async def test_until_the_next_cycle_the_page_says_that_the_plan_does_not_know_yet(lot: Parking) -> None:
    lot.plans_at_once = False
    async with phone(lot) as browser:
        page = await sit_down(browser)
        lot.now += timedelta(seconds=1)
        await send(browser, page)
        assert "The plan takes it up within the next minutes" in said(await browser.get(PAGE))
        lot.now += timedelta(seconds=5)
        lot.cycle()
        assert "Your wish is in the plan." in said(await browser.get(PAGE))


async def test_a_wish_that_is_not_possible_is_answered_with_what_is(lot: Parking) -> None:
    """By 14:30 are 1.5 h: 16.56 kWh at 11.04 kW. 20 kWh take 1.812 h: 14:48."""
    async with phone(lot) as browser:
        page = await sit_down(browser)
        answer = await send(browser, page, time="14:30")
        assert answer.status_code == 422
        assert "By 14:30 at most 16.5 kWh are possible. It can be there 14:48 at the earliest." in said(answer)
        assert 'aria-describedby="energy-error" autofocus' in answer.text
        assert 'value="14:30"' in answer.text, "what was typed is still there"
        assert lot.book.wishes == {}

        taken = await send(browser, answer, time="14:30", instead_kwh="16.5")
        assert taken.status_code == 303
    assert lot.book.wishes[STAY].energy_wh == 16_500


async def test_what_cannot_be_read_is_told_beside_its_field_and_shown_harmlessly(lot: Parking) -> None:
    async with phone(lot) as browser:
        answer = await send(browser, await sit_down(browser), time="soon", amount="<script>x</script>")
    assert answer.status_code == 422
    assert "Please give a day and a time such as 17:00." in said(answer)
    assert "Please give a number such as 20 or 12.5." in said(answer)
    assert "<script>x" not in answer.text


async def test_priority_is_asked_for_twice_a_week_by_a_card(lot: Parking) -> None:
    async with phone(lot) as browser:
        page = await sit_down(browser)
        assert "You can ask for it at 2 more stays this week." in said(page)
        await send(browser, page, priority="yes")
        page = await browser.get(PAGE)
        assert "Granted for this stay." in said(page)
        for number in (2, 3):
            lot.sessions = [Session(f"{number}", PLUG, NOON, NOON + 4 * HOUR, 11_040.0)]
            lot.cycle()
            page = await sit_down(browser)
            answer = await send(browser, page, priority="yes")
            assert answer.status_code == (303 if number == 2 else 422)
    assert "You have no priority left; the next one is free Thu 22/1 13:00." in said(answer)


async def test_room_for_the_grid_is_shown(lot: Parking) -> None:
    async with phone(lot) as browser:
        await sit_down(browser)
        assert "giving room" not in said(await browser.get(PAGE))
        lot.giving_until = NOON + HOUR
        page = said(await browser.get(PAGE))
    assert "This site is giving room to the grid until 14:00." in page


async def test_the_page_speaks_danish_to_who_asks_for_it(lot: Parking) -> None:
    async with phone(lot, "da-DK,da;q=0.9,en;q=0.5") as browser:
        page = await sit_down(browser)
        answer = await send(browser, page, time="14:30", amount="20,5")
    assert '<html lang="da">' in page.text
    assert page.headers["content-language"] == "da"
    assert "Indtil kl. 14.30 er højst 16,5 kWh muligt." in said(answer)


# who may see and say it


async def test_only_the_first_browser_sees_a_stay_and_the_next_driver_begins_anew(lot: Parking) -> None:
    async with phone(lot) as first, phone(lot) as second:
        proof = hidden(await second.get(PAGE))
        page = await sit_down(first)
        assert "This stay is open on another phone" in said(await second.get(PAGE))
        await second.post(f"{PAGE}/seat", data={"proof": proof})
        assert "kWh" not in said(await second.get(PAGE))

        lot.sessions = [Session("the next one", PLUG, NOON, NOON + HOUR, 5_000.0)]
        lot.cycle()
        assert "A vehicle is plugged in Is it yours?" in said(await first.get(PAGE)), (
            "its cookie is of a stay that is over"
        )
        answer = await send(first, page)
        assert answer.status_code == 409
        assert "This stay is over" in said(answer)
        assert "0.0 of 5.0 kWh delivered" in said(await sit_down(second))


async def test_opening_the_address_takes_no_seat(lot: Parking) -> None:
    """Scanners and previews of messages open addresses by themselves."""
    async with phone(lot) as browser:
        for _ in range(3):
            assert "set-cookie" not in (await browser.get(PAGE)).headers
    assert lot.book.seat_is_free(STAY)


async def test_a_seat_is_taken_soon_after_plugging_in(lot: Parking) -> None:
    async with phone(lot) as browser:
        page = await browser.get(PAGE)
        lot.now += timedelta(minutes=31)
        assert "It is too late to open this stay" in said(await browser.get(PAGE))
        await browser.post(f"{PAGE}/seat", data={"proof": hidden(page)})
    assert lot.book.seat_is_free(STAY)


async def test_a_plug_without_a_vehicle_says_so(lot: Parking) -> None:
    lot.sessions = []
    async with phone(lot) as browser:
        page = await browser.get(PAGE)
        assert page.status_code == 200
        assert "This plug is free" in said(page)
        assert (await browser.post(f"{PAGE}/seat", data={"proof": ""})).status_code == 409


@pytest.mark.parametrize(
    "code", ["x", CODE[:-1], CODE + "x", "." + CODE.split(".")[1], CODE.split(".")[0], "é", "." * 500]
)
async def test_a_wrong_code_finds_nothing(lot: Parking, code: str) -> None:
    async with phone(lot) as browser:
        for path in (f"/p/{code}", f"/v1/plugs/{code}"):
            answer = await browser.get(path)
            assert answer.status_code == 404
            assert answer.headers["content-type"].startswith("application/problem" if "v1" in path else "text/html")


async def test_the_right_code_of_a_plug_that_is_not_here_finds_nothing(lot: Parking) -> None:
    async with phone(lot) as browser:
        assert (await browser.get(f"/p/{lot.codes.code('another-1-1')}")).status_code == 404


async def test_a_form_from_elsewhere_is_not_taken(lot: Parking) -> None:
    async with phone(lot) as browser:
        page = await sit_down(browser)
        assert (await send(browser, page, proof="")).status_code == 403
        assert (await send(browser, page, proof=lot.codes.proof("", *STAY))).status_code == 403
        browser.headers["Sec-Fetch-Site"] = "cross-site"
        assert (await send(browser, page)).status_code == 403
    assert lot.book.wishes == {}


def test_only_a_browser_on_another_site_is_told_to_be_one() -> None:
    own = {"host": "plugs.test", "origin": "https://plugs.test", "sec-fetch-site": "same-origin"}
    assert not is_forged(Headers(own))
    assert not is_forged(Headers({"host": "plugs.test"}))
    assert is_forged(Headers(own | {"sec-fetch-site": "same-site"}))
    assert is_forged(Headers({"host": "plugs.test", "origin": "https://other.test"}))
    assert is_forged(Headers({"host": "plugs.test", "origin": "null"}))


async def test_every_answer_is_strict_about_what_a_browser_may_do_with_it(lot: Parking) -> None:
    async with phone(lot) as browser:
        answers = [await browser.get(path) for path in (PAGE, API, "/p/x", "/nothing", "/assets/driver.css")]
        answers += [await browser.post(f"{PAGE}/wish", content=b"x" * 9000), await browser.delete(PAGE)]
        answers.append(await sit_down(browser))
    for each in answers:
        policy = each.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert each.headers["referrer-policy"] == "no-referrer"
        assert each.headers["x-content-type-options"] == "nosniff"
        assert "http" not in re.sub(r"http-equiv", "", each.text) or each.url.path.startswith("/v1")
    assert [each.headers["cache-control"] for each in answers].count("no-store") == len(answers) - 1
    assert answers[5].status_code == 413


async def test_the_cookie_is_of_one_plug_and_no_script_reads_it(lot: Parking) -> None:
    async with phone(lot) as browser:
        answer = await browser.post(f"{PAGE}/seat", data={"proof": hidden(await browser.get(PAGE))})
    cookie = answer.headers["set-cookie"].lower()
    assert f"path={PAGE.lower()};" in cookie
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


async def test_a_fault_of_ours_is_told_as_one_and_shows_nothing(lot: Parking) -> None:
    class Broken:
        async def plug(self, plug: str) -> PlugView | None:
            raise RuntimeError("secret of the house")

        async def say(self, plug: str, session: str, wish: Wish) -> None:
            raise AssertionError

    app = create_driver_app(Reception(Broken(), lot.book, lot.codes, COPENHAGEN))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://plugs.test") as browser:
        for path in (PAGE, API):
            answer = await browser.get(path)
            assert answer.status_code == 500
            assert "secret of the house" not in answer.text
            assert answer.headers["cache-control"] == "no-store"


async def test_wishes_come_at_a_bounded_rate(lot: Parking) -> None:
    async with phone(lot) as browser:
        page = await sit_down(browser)
        found = [(await send(browser, page)).status_code for _ in range(8)]
        assert found == [303] * 6 + [429] * 2
        lot.now_s += 10
        assert (await send(browser, page)).status_code == 303


def test_a_rate_lets_so_many_in_a_row_and_then_one_at_a_time() -> None:
    now_s = [0.0]
    rate = Rate(most=2, every_s=10, now_s=lambda: now_s[0])
    assert [rate.admits("a"), rate.admits("a"), rate.admits("a"), rate.admits("b")] == [True, True, False, True]
    now_s[0] = 10.0
    assert [rate.admits("a"), rate.admits("a")] == [True, False]


async def test_a_book_that_cannot_be_written_keeps_nothing(lot: Parking, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise BookUnavailable("disk full")

    async with phone(lot) as browser:
        page = await sit_down(browser)
        monkeypatch.setattr(WishBook, "keep", full)
        answer = await send(browser, page)
    assert answer.status_code == 503
    assert "Nothing has been changed." in said(answer)


# the endpoints


async def seated(browser: httpx.AsyncClient) -> dict[str, str]:
    answer = await browser.post(f"{API}/seat")
    assert answer.status_code == 201
    return {"Authorization": f"Bearer {answer.json()['secret']}"}


async def test_an_app_says_the_same_and_reads_the_plan(lot: Parking) -> None:
    async with phone(lot) as browser:
        assert (await browser.get(API)).json() == {"plug": PLUG, "name": f"Harbour, {PLUG}", "occupied": True}
        seat = await seated(browser)
        wish = {"departs": FIVE, "range_km": 100, "wh_per_km": 180, "priority": True}
        answer = await browser.put(f"{API}/wish", json=wish, headers=seat)

    assert answer.status_code == 200
    stay = answer.json()["stay"]
    assert (stay["departs"], stay["energy_wh"], stay["priority"]) == ("2026-01-15T16:00:00Z", 18_000, True)
    assert (stay["in_plan"], stay["priorities_left"]) == (True, 1)
    assert stay["by_departure_wh"] == pytest.approx(18_000)
    assert len(stay["plan"]["edges"]) == len(stay["plan"]["power_w"]) + 1


async def test_an_app_hears_the_same_objections_at_their_places(lot: Parking) -> None:
    async with phone(lot) as browser:
        seat = await seated(browser)
        wish = {"departs": "2026-01-15T14:30:00+01:00", "energy_wh": 20_000}
        answer = await browser.put(f"{API}/wish", json=wish, headers=seat)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:flexmarket:problem:not-admitted"
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/energy_wh"
    assert "at most 16.5" in error["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 422),
        (b"[" * 4000, 400),
        (b'{"departs": "2026-01-15T17:00:00", "energy_wh": 1}', 422),
        (b'{"departs": "2026-01-15T17:00:00Z", "energy_wh": NaN}', 422),
        (b'{"departs": "2026-01-15T17:00:00Z", "energy_wh": 1e400}', 422),
        (b'{"departs": "2026-01-15T17:00:00Z", "energy_wh": -1}', 422),
        (b'{"departs": "2026-01-15T17:00:00Z", "energy_wh": 1, "range_km": 1}', 422),
        (b'{"departs": "2026-01-15T17:00:00Z", "range_km": 1}', 422),
        (b'{"departs": "2026-01-15T17:00:00Z", "energy_wh": 1, "more": 1}', 422),
        (b'{"departs": "2026-01-15T17:00:00Z", "energy_wh": 1, "priority": "yes"}', 422),
        (b" " * (MOST_BYTES + 1), 413),
    ],
)
async def test_a_malformed_body_is_a_problem(lot: Parking, body: bytes, status: int) -> None:
    async with phone(lot) as browser:
        headers = await seated(browser) | {"Content-Type": "application/json"}
        answer = await browser.put(f"{API}/wish", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert lot.book.wishes == {}


async def test_without_the_seat_an_app_sees_and_says_nothing_of_a_stay(lot: Parking) -> None:
    wish = {"departs": FIVE, "energy_wh": 20_000}
    async with phone(lot) as browser:
        assert (await browser.put(f"{API}/wish", json=wish)).status_code == 401
        await seated(browser)
        assert (await browser.post(f"{API}/seat")).status_code == 409
        wrong = {"Authorization": "Bearer wrong"}
        for answer in (
            await browser.put(f"{API}/wish", json=wish, headers=wrong),
            await browser.get(API, headers=wrong),
        ):
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
    assert lot.book.wishes == {}


# codes, colours and words


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(scheme: int) -> None:
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3), and borders of fields 3 to 1 (1.4.11)."""
    style = (files("aggregator_agents.drivers") / "assets" / "driver.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{([^}]*)\}", style)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", blocks[scheme]))

    def light(name: str) -> float:
        parts = (int(colours[name][at : at + 2], 16) / 255 for at in (1, 3, 5))
        red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(one: str, other: str) -> float:
        darker, lighter = sorted((light(one), light(other)))
        return (lighter + 0.05) / (darker + 0.05)

    texts = [("ink", "card"), ("quiet", "card"), ("quiet", "ground"), ("accent", "card"), ("on-accent", "accent")]
    texts += [("ink", "good-soft"), ("good", "good-soft"), ("good", "card"), ("warn", "warn-soft"), ("warn", "card")]
    texts += [("bad", "bad-soft"), ("bad", "card")]
    assert [pair for pair in texts if contrast(*pair) < 4.5] == []
    assert contrast("field", "card") >= 3


def test_codes_differ_by_plug_and_by_key() -> None:
    codes = Codes(KEY)
    assert codes.plug_of(codes.code(PLUG)) == PLUG
    assert codes.code(PLUG) != codes.code("lot-1-2")
    assert Codes(bytes(32)).plug_of(codes.code(PLUG)) is None
    assert codes.proof("a", "b", "c") != codes.proof("ab", "", "c")
    assert "4711" not in codes.pseudonym("4711")


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "drivers.key"
    make_key(path)
    assert Codes.read(path).plug_of(Codes.read(path).code(PLUG)) == PLUG
    path.chmod(0o640)
    with pytest.raises(BadKey, match="chmod 600"):
        Codes.read(path)
    path.chmod(0o600)
    path.write_text("abcd", encoding="ascii")
    with pytest.raises(BadKey, match="at least 32 bytes"):
        Codes.read(path)
    with pytest.raises(BadKey, match="holds no key"):
        Codes.read(tmp_path / "none")


def test_both_languages_say_everything_with_the_same_values() -> None:
    def values(sentence: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(sentence)} - {None}

    english, danish = CATALOGUE["en"], CATALOGUE["da"]
    assert english.keys() == danish.keys()
    assert {key: values(text) for key, text in english.items()} == {key: values(text) for key, text in danish.items()}
    assert {each.__name__ for each in FIELD} <= english.keys()


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("da", "da"),
        ("de, da;q=0.8, en;q=0.9", "en"),
        ("da;q=0", "en"),
        ("DA-dk;q=x, fr", "en"),
        ("*", "en"),
    ],
)
def test_the_language_is_the_one_asked_for_most(accepted: str, language: str) -> None:
    assert language_of(accepted) == language
