"""The commands `flexmarket backup`, `restore` and `doctor`: what they print, and how they end."""

from pathlib import Path

import typer
from rich.table import Table
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from market.errors import BackupFailed, BadBackup, DatabaseNotEmpty, KeyFileUnusable, RestoreFailed, ToolMissing
from market.logs import configure
from market.operation.archive import Manifest
from market.operation.backup import back_up, restore
from market.operation.doctor import examine
from market.operation.finding import conclusion, findings_table
from market.settings import Settings, read_settings
from market.store import open_engine
from market.store.inspection import schema_at, secrets_of
from market.store.vault import Vault, vault_of
from market.terminal import BAD_INPUT, console, stop


def backup_to(file: Path) -> None:
    """Write a backup of the market's database to a new file."""
    settings, engine = _settled()
    try:
        manifest = back_up(engine, file, postgres_bin=settings.postgres_bin)
    except (BackupFailed, ToolMissing) as failure:
        raise stop(f"no backup was made: {failure}", status=1) from failure
    except SQLAlchemyError as failure:
        raise stop(f"no backup was made: {_unreachable(engine, failure)}", status=1) from failure
    finally:
        engine.dispose()
    console.print(_shown(f"Backup {file}", manifest))
    console.print(_key_file(vault_of(engine)), soft_wrap=True, highlight=False)


def restore_from(file: Path) -> None:
    """Restore a backup into the empty database of the settings."""
    settings, engine = _settled()
    try:
        manifest = restore(file, engine, postgres_bin=settings.postgres_bin)
    except BadBackup as failure:
        raise stop(f"nothing was restored: {failure}", status=BAD_INPUT) from failure
    except (DatabaseNotEmpty, RestoreFailed, ToolMissing) as failure:
        raise stop(f"not restored: {failure}", status=1) from failure
    except SQLAlchemyError as failure:
        raise stop(f"not restored: {_unreachable(engine, failure)}", status=1) from failure
    finally:
        engine.dispose()
    console.print(_shown(f"Restored {file}", manifest))
    schema = schema_at(manifest.schema_revision)
    if schema.behind:
        console.print(f"`flexmarket serve` brings its schema from {schema.current} to {schema.newest} when it starts.")
    if (closed := _unopened(engine)) is not None:
        console.print(closed, soft_wrap=True, highlight=False)
    console.print("Gates that were to close meanwhile close, and are cleared, as soon as it serves.")


def _key_file(vault: Vault) -> str:
    if vault.file is None:
        return "Secrets stand in it in clear: FLEXMARKET_KEY_FILE would seal them."
    return f"Secrets stand in it sealed. {vault.file} opens them and is not in it: keep a copy of that file elsewhere."


def _unopened(engine: Engine) -> str | None:
    """What to say where the secrets of a restored database cannot be opened."""
    try:
        unreadable = secrets_of(engine)["unreadable"]
    except KeyFileUnusable as failure:
        return f"Its secrets are sealed: {failure}"
    finally:
        engine.dispose()
    if unreadable:
        return (
            f"{unreadable} of its secrets are sealed with a key that is not in {vault_of(engine).file}: bring it back."
        )
    return None


def _settled() -> tuple[Settings, Engine]:
    settings = read_settings()
    configure("console", "warning")
    return settings, open_engine(settings.database_url, key_file=settings.key_file)


def _unreachable(engine: Engine, failure: SQLAlchemyError) -> str:
    words = str(getattr(failure, "orig", None) or failure).strip().splitlines()[-1]
    return f"{engine.url.render_as_string()} does not answer ({words})"


def _shown(title: str, manifest: Manifest) -> Table:
    table = Table(title=title, show_header=False, title_justify="left", highlight=False)
    table.add_column(style="dim")
    table.add_column()
    told = ("organisation", "auction", "offer", "transfer")
    table.add_row("as of", f"{manifest.begun_at:%Y-%m-%d %H:%M:%S} UTC")
    table.add_row("rows", f"{sum(manifest.rows.values()):,} in {len(manifest.rows)} tables")
    for each in told:
        table.add_row("", f"{manifest.rows.get(each, 0):,} {each}s")
    table.add_row("database", f"{manifest.database}, schema {manifest.schema_revision}")
    table.add_row("copy", f"{manifest.size_bytes:,} bytes, SHA-256 {manifest.sha256[:16]}…")
    table.add_row("checked", "rows, references, double entry, results against their cases")
    return table


def examine_installation() -> None:
    """Print every finding; end with 1 where one is a problem."""
    configure("console", "error")
    findings = list(examine())
    console.print(findings_table(findings))
    console.print(conclusion(findings))
    if any(each.verdict == "problem" for each in findings):
        raise typer.Exit(1)
