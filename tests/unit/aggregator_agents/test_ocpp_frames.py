"""Frames of OCPP-J, and passwords."""

import json
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator_agents.charging.ocpp.central import identity_in
from aggregator_agents.charging.ocpp.credentials import Doorkeeper, basic, common_name, hashed, new_password
from aggregator_agents.charging.ocpp.dialect import Desk
from aggregator_agents.charging.ocpp.frames import BadFrame, Call, Error, Result, parse, stamp
from aggregator_agents.charging.serving.settings import BadServiceFile, read_service

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=50), json_values.map(json.dumps)))
def test_whatever_comes_is_a_frame_or_a_bad_frame(text: str | bytes) -> None:
    for version in ("1.6", "2.0.1", "2.1"):
        try:
            parse(text, version)
        except BadFrame as failure:
            assert failure.error(version).text().startswith("[4,")


@settings(deadline=None)
@given(
    st.sampled_from(["Heartbeat", "BootNotification", "MeterValues", "TransactionEvent", "DataTransfer"]), json_values
)
def test_whatever_a_call_carries_it_fits_the_schema_or_is_a_bad_frame(action: str, payload: object) -> None:
    for version in ("1.6", "2.0.1", "2.1"):
        try:
            assert isinstance(parse(json.dumps([2, "i", action, payload]), version), Call)
        except BadFrame as failure:
            assert failure.id in ("i", "-1")


def test_frames_are_read_as_they_are_written() -> None:
    for frame in (Call("i", "Heartbeat", {}), Result("i", {"a": 1}), Error("i", "GenericError", "d")):
        assert parse(frame.text(), "2.1") == frame


def test_a_limit_of_a_tenth_is_a_multiple_of_a_tenth() -> None:
    """2.3 is none in floating point."""
    period = {"startPeriod": 0, "limit": 2.3}
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [period]}
    profile = {"chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile"}
    profile |= {"chargingProfileKind": "Relative", "chargingSchedule": schedule}
    told = {"connectorId": 1, "csChargingProfiles": profile}

    assert isinstance(parse(Call("i", "SetChargingProfile", told).text(), "1.6"), Call)
    period["limit"] = 2.34
    with pytest.raises(BadFrame, match="PropertyConstraintViolation"):
        parse(Call("i", "SetChargingProfile", told).text(), "1.6")


def test_times_are_utc_to_the_millisecond() -> None:
    assert stamp(datetime.fromisoformat("2026-01-15T13:00:00.123456+01:00")) == "2026-01-15T12:00:00.123Z"


def test_numbers_of_transactions_differ_and_stay() -> None:
    desk = Desk(tokens=lambda _: True)
    first = desk.number("CP", 1, now=NOON)

    assert desk.number("CP", 2, now=NOON) != first
    assert desk.number("CP", 1, now=NOON) == first
    assert Desk(tokens=lambda _: True).number("CP", 3, now=NOON.replace(hour=13)) > first
    assert first < 2**31


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Basic Q1A6cGE6c3M=", ("CP", "pa:ss")),
        ("basic Q1A6", ("CP", "")),
        ("Basic Q1A=", None),
        ("Basic OnBhc3M=", None),
        ("Basic /////w==", None),
        ("Bearer Q1A6cGFzcw==", None),
        ("", None),
        (None, None),
    ],
)
def test_basic_authentication(header: str | None, found: tuple[str, str] | None) -> None:
    assert basic(header) == found


async def test_only_the_right_password_of_a_known_station_proves_it() -> None:
    password, kept = new_password()
    keeper = Doorkeeper({"CP": kept, "by-certificate": None})

    for _ in range(2):
        assert await keeper.proves("CP", password)
        assert not await keeper.proves("CP", password + "x")
        assert not await keeper.proves("CP", "")
        assert not await keeper.proves("by-certificate", password)
        assert not await keeper.proves("nobody", password)
    assert password not in kept and len(password) == 40
    assert hashed(password) != hashed(password)


def test_a_certificate_has_one_common_name() -> None:
    name = (("commonName", "CP"),)
    assert common_name({"subject": ((("organizationName", "O"),), name)}) == "CP"
    assert common_name({"subject": (name, (("commonName", "other"),))}) is None
    assert common_name({"subject": ()}) is None
    assert common_name(None) is None


def test_the_identity_is_the_end_of_the_path() -> None:
    assert identity_in("/ocpp/CP-1") == "CP-1"
    assert identity_in("/CP%2D1?x=/y") == "CP-1"
    assert identity_in("/") == ""


GOOD = """
site = "risoe"
[listen]
profile = 1
[stations.lot-1]
password_hash = "$argon2id$v=19$m=19456,t=2,p=1$YWJj$YWJj"
"""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('site = "risoe"', 'site = "rise"'), 'site: no site "rise" ships with flexmarket (did you mean "risoe"?)'),
        (
            ("stations.lot-1", "stations.lot-11"),
            'stations.lot-11: no charger "lot-11" at the site (did you mean "lot-1"?)',
        ),
        (("profile = 1", "profile = 2"), "listen.tls: is needed for security profile 2"),
        (("profile = 1", "profile = 4"), "listen.profile: Input should be 1, 2 or 3"),
        (('password_hash = "$', '# "$'), "stations.lot-1.password_hash: is needed for security profile 1"),
        (
            ('password_hash = "$argon2id', 'password_hash = "secret'),
            "stations.lot-1.password_hash: String should match",
        ),
        (("[listen]", "[listen"), "Expected ']'"),
    ],
)
def test_a_bad_service_file_is_told_at_its_keys(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    file = tmp_path / "service.toml"
    file.write_text(GOOD, encoding="utf-8")
    assert read_service(file).site.site().floor_a == 7
    file.write_text(GOOD.replace(*change), encoding="utf-8")

    with pytest.raises(BadServiceFile) as failure:
        read_service(file)
    assert told in str(failure.value)


def test_floors_are_yielded_by_chargers_of_their_own_mind_only(tmp_path: Path) -> None:
    """A hosted station falls back by profiles of its own, whatever the service has promised for it."""
    shipped = resources.files("aggregator_agents") / "sites" / "risoe.toml"
    place, file = tmp_path / "lot.toml", tmp_path / "service.toml"
    place.write_text("yields_floors = true\n" + shipped.read_text("utf-8"), encoding="utf-8")
    hosted = GOOD.replace('"risoe"', f'"{place}"')
    file.write_text(hosted, encoding="utf-8")
    with pytest.raises(BadServiceFile, match=r'stations\.lot-1\.virtual_aggregator: is not "own"'):
        read_service(file)

    file.write_text(hosted + 'virtual_aggregator = "own"\n', encoding="utf-8")
    assert read_service(file).site.site().yields_floors


def test_passwords_in_the_clear_are_known_to_be(tmp_path: Path) -> None:
    file = tmp_path / "service.toml"
    for host, exposed in (("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True), ("charge.example", True)):
        file.write_text(GOOD.replace("profile = 1", f'profile = 1\nhost = "{host}"'), encoding="utf-8")
        assert read_service(file).listen.exposed == exposed


def test_the_file_on_the_page_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "chargers.md").read_text(encoding="utf-8")
    file = tmp_path / "service.toml"
    file.write_text(page.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    service = read_service(file)

    assert service.listen.profile == 2
    assert [each.virtual_aggregator for each in service.stations.values()] == ["hosted", "own"]
    assert service.accepts("04a1b2c3d4") and not service.accepts("04A1B2C3")
