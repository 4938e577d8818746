"""Secrets do not stand in the database as they are, and keys can be changed, brought back and lost."""

import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from api_spec.organisation import Organisation
from api_spec.webhooks import Webhook
from market.cli import app
from market.errors import KeyFileUnusable, SecretsUnreadable
from market.store import UnitOfWork, migrate, open_engine
from market.store.inspection import secrets_of
from market.store.vault import Vault, vault_of
from market.workflow.auditing import build_log, verify_log
from market.workflow.keys import reseal, rotate_keys, signing_key
from market.workflow.webhooks import rotate_secret

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
COLUMNS = (
    ("webhook", "secret"),
    ("webhook", "previous_secret"),
    ("signing_key", "private_jwk"),
    ("audit_key", "private"),
)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "somewhere.key"


@pytest.fixture
def engine(migrated: Engine, database_url: str, keys: Path) -> Iterator[Engine]:
    """A migrated database of each kind, with a key."""
    Vault(keys).add_key()
    engine = open_engine(database_url, key_file=keys)
    yield engine
    engine.dispose()


def with_secrets(engine: Engine) -> None:
    """An organisation with a webhook whose secret was rotated, a key of tokens and a signed head."""
    with UnitOfWork(engine) as work:
        own = Organisation(id="own", name="own", role="aggregator")
        work.participants.add(own, client_id="own", secret_hash="#", now=NOON)
        webhook = Webhook(url="https://own.example/", id="whk", created_at=NOON)
        work.webhooks.add(webhook, organisation="own", secret="whsec_first")
        work.webhooks.rotate("whk", organisation="own", secret="whsec_second", until=NOON + timedelta(days=1))
        work.commit()
    signing_key(now=NOON, engine=engine)
    build_log(now=NOON, engine=engine)


def stored(engine: Engine) -> dict[tuple[str, str], bytes]:
    with engine.connect() as connection:
        return {
            (table, column): value if isinstance(value, bytes) else value.encode()
            for table, column in COLUMNS
            for (value,) in connection.execute(text(f"SELECT {column} FROM {table}"))
        }


def opened(engine: Engine) -> tuple[str, str, bytes]:
    """A webhook's secret, a key of tokens, and the log's key, as the market uses them."""
    with UnitOfWork(engine) as work:
        secret = work.webhooks.with_secret("whk", organisation="own").secret
        return secret, work.identities.signing_keys()[-1].private_jwk, work.audit.signing_key().private


def test_no_secret_stands_in_the_database_as_it_is(engine: Engine) -> None:
    with_secrets(engine)
    secret, jwk, private = opened(engine)
    assert secret == "whsec_second" and json.loads(jwk)["d"] and len(private) == 32
    kept = stored(engine)
    assert len(kept) == 4
    assert all(each.startswith(b"sealed:") for each in kept.values())
    for hidden in (b"whsec", json.loads(jwk)["d"].encode(), private):
        assert not any(hidden in each for each in kept.values())
    assert secrets_of(engine) == {"sealed": 4}


def test_what_stood_in_clear_is_sealed_at_the_next_start(engine: Engine, database_url: str) -> None:
    in_clear = open_engine(database_url).execution_options(flexmarket_vault=Vault())
    with_secrets(in_clear)
    before = opened(in_clear)
    assert secrets_of(engine) == {"clear": 4}
    assert opened(engine) == before, "until then it is read as it is"

    migrate(engine)

    assert secrets_of(engine) == {"sealed": 4}
    assert opened(engine) == before
    with pytest.raises(KeyFileUnusable, match="FLEXMARKET_KEY_FILE names no file"):
        opened(in_clear)
    in_clear.dispose()


def test_a_new_key_seals_everything_and_older_ones_still_open(engine: Engine, keys: Path) -> None:
    with_secrets(engine)
    before, (old,) = opened(engine), keys.read_text().split()
    assert vault_of(engine).add_key() == 2
    assert secrets_of(engine) == {"older": 4}
    assert opened(engine) == before

    assert reseal(engine=engine, lost=False) == (0, 4)

    assert secrets_of(engine) == {"sealed": 4}
    new, kept_old = keys.read_text().split()
    assert kept_old == old != new
    keys.write_text(f"# of this year\n{new}  # the only one\n\n")
    assert opened(engine) == before
    assert reseal(engine=engine, lost=False) == (0, 0)


def test_without_its_key_nothing_is_opened_and_nothing_starts(engine: Engine, keys: Path) -> None:
    with_secrets(engine)
    kept = stored(engine)
    keys.write_bytes(Fernet.generate_key())
    for call in (migrate, opened):
        with pytest.raises(SecretsUnreadable, match=f"no key in {keys}"):
            call(engine)
    assert secrets_of(engine) == {"unreadable": 4}
    for wrong, why in ((b"# none\n", "no key in it"), (b"12345\n", "no Fernet key"), (b"\xff\n", "no Fernet key")):
        keys.write_bytes(wrong)
        with pytest.raises(KeyFileUnusable, match=why):
            migrate(engine)
    keys.unlink()
    with pytest.raises(KeyFileUnusable, match="No such file"):
        migrate(engine)
    assert stored(engine) == kept, "nothing was overwritten"


def test_what_is_lost_is_replaced(engine: Engine, keys: Path) -> None:
    """Tokens get another key, so does the log, whose older heads still verify; a webhook's owner asks for a secret."""
    with_secrets(engine)
    _, jwk, private = opened(engine)
    keys.unlink()
    vault_of(engine).add_key()
    assert reseal(engine=engine, lost=True) == (4, 0)

    signing_key(now=NOON, engine=engine)
    secret, new_jwk, new_private = opened(engine)
    assert secret not in ("whsec_first", "whsec_second") and new_jwk != jwk and new_private != private
    with UnitOfWork(engine) as work:
        rotate_secret("whk", organisation="own", now=NOON, work=work)
        work.commit()
    rotate_keys(now=NOON, token_ttl=timedelta(0), engine=engine)
    assert build_log(now=NOON, engine=engine) is None, "nothing that is witnessed has changed"
    with UnitOfWork(engine) as work:
        other = Organisation(id="other", name="other", role="dso")
        work.participants.add(other, client_id="other", secret_hash="#", now=NOON)
        work.commit()
    build_log(now=NOON, engine=engine)
    result = verify_log(engine=engine)
    assert (result.findings, result.heads) == ((), 2)


def test_sqlite_makes_its_key_beside_the_database_when_the_first_secret_is_kept(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'market.db'}")
    migrate(engine)
    keys = tmp_path / "market.db.key"
    assert not keys.exists()
    with_secrets(engine)
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert len(keys.read_text().split()) == 1
    assert secrets_of(engine) == {"sealed": 4}
    assert [each.name for each in tmp_path.iterdir() if "key" in each.name] == ["market.db.key"], "nothing is left over"
    engine.dispose()


def test_postgresql_makes_no_key_by_itself(postgres_url: str, tmp_path: Path) -> None:
    """Each machine would make its own, and open nothing of the others'."""
    keys = tmp_path / "market.key"
    engine = open_engine(postgres_url, key_file=keys)
    migrate(engine)
    with pytest.raises(KeyFileUnusable, match="No such file"):
        with_secrets(engine)
    assert not keys.exists()
    engine.dispose()
    plain = open_engine(postgres_url)
    with UnitOfWork(plain) as work:
        assert work.audit.signing_key().private
        work.commit()
    assert secrets_of(plain) == {"clear": 1}
    plain.dispose()


def test_the_command_makes_a_key_seals_and_says_how_much(
    migrated: Engine, database_url: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEXMARKET_DATABASE_URL", database_url)
    with_secrets(migrated.execution_options(flexmarket_vault=Vault()))
    monkeypatch.setenv("FLEXMARKET_KEY_FILE", str(keys))
    run = CliRunner().invoke(app, ["keys", "reseal", "--new-key"])
    assert (run.exit_code, keys.exists()) == (0, True), run.output
    assert "1 keys, a new one first" in run.output and "4 secrets were sealed anew" in run.output
    keys.write_bytes(Fernet.generate_key())
    run = CliRunner().invoke(app, ["keys", "reseal"])
    assert run.exit_code == 1 and "flexmarket keys reseal --lost" in run.output
    run = CliRunner().invoke(app, ["keys", "reseal", "--lost"])
    assert run.exit_code == 0 and "4 secrets that no key opens were replaced" in run.output
