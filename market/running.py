"""A market that runs: served, simulated, or set up for the first time."""

import asyncio
import contextlib
import shutil
import socket
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import typer
from pydantic import ValidationError
from sqlalchemy import Engine

from api_spec.audit import TreeHead
from api_spec.client import MarketError
from market.api.app import create_app
from market.api.monitoring import metrics_served
from market.api.serving import LOOPBACK, listen, serve_until_stopped
from market.background import looked_after, told
from market.clearing.watched import Clearing
from market.clock import Clock, SimulatedClock, SystemClock
from market.ending import leave_what_is_in_hand, stopping_at_signals
from market.errors import (
    AlreadyExists,
    CannotBeErased,
    ClusterUnavailable,
    DatabaseOutOfReach,
    FlexmarketError,
    KeyFileUnusable,
    NoSuchDatabase,
    NotFound,
    SecondWorker,
    SecretsUnreadable,
)
from market.figures.run_folder import REPORT, RunFolder
from market.logs import configure as configure_logs
from market.logs import log
from market.settings import Settings, read_settings
from market.simulation.archive import MEASURES, keep_text, publish
from market.simulation.progress import progress_bar
from market.simulation.rerun import NoRun, changed_since, differences, other_versions, scenario_in
from market.simulation.run import Finished
from market.simulation.run import simulate as run_scenario
from market.simulation.scenario import BadScenario, Scenario, locate_scenario, read_scenario
from market.simulation.summary import short_table
from market.simulation.world import DATABASE
from market.store import migrate, open_engine
from market.store.database_clock import DatabaseClock
from market.store.evidence import has_log
from market.store.sole_worker import sole_worker
from market.store.vault import vault_of
from market.terminal import BAD_INPUT, STOPPED, complain, console, stderr, stop
from market.workflow.auditing import erase_row as erase
from market.workflow.auditing import last_head, verify_log
from market.workflow.clearing import clearing_by
from market.workflow.identity import bootstrap_operator, has_operator
from market.workflow.keys import reseal, rotate_keys


def serve() -> None:
    """Serve the market over HTTP; settings come from FLEXMARKET_... variables."""
    settings = read_settings()
    with _opened(settings) as (engine, clear):
        clock = DatabaseClock(engine)
        listening = _listen(settings.host, settings.port, "FLEXMARKET_PORT chooses another")
        with _metrics(settings, engine, clock) as metrics:
            console.print(f"flexmarket serves {_address(listening)} (Ctrl-C ends it){metrics}")
            if not has_operator(engine=engine):
                console.print('nobody can register yet: flexmarket operator create "NAME" makes the first operator')
            api = create_app(settings, clock=clock, engine=engine, clear=clear)
            serve_until_stopped(api, listening, stop_within=settings.stop_within)


def work() -> None:
    """Do what a market does by itself, until stopped, without serving; settings come from FLEXMARKET_... variables."""
    settings, ended = read_settings(), threading.Event()
    with _opened(settings) as (engine, clear), stopping_at_signals(ended.set, within=settings.stop_within):
        clock, at_once = DatabaseClock(engine), settings.clearings_at_once
        with _metrics(settings, engine, clock) as metrics:
            console.print(f"flexmarket works, {_auctions(at_once)} at a time (Ctrl-C ends it){metrics}")
            asyncio.run(_work_until(ended, settings, clock=clock, engine=engine, clear=clear))


async def _work_until(
    ended: threading.Event, settings: Settings, *, clock: Clock, engine: Engine, clear: Clearing
) -> None:
    async with (
        looked_after(settings, clock=clock, engine=engine, clear=clear),
        told(settings, clock=clock, engine=engine),
    ):
        await asyncio.to_thread(ended.wait)


def _auctions(count: int) -> str:
    return "1 auction" if count == 1 else f"{count} auctions"


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Engine, Clearing]]:
    """The migrated database and how to clear, for this process; a sentence on stderr where one of them is not there."""
    configure_logs(settings.log_format, settings.log_level)
    try:
        engine = _engine(settings)
        with sole_worker(engine), clearing_by(settings.cluster, limit=settings.clearing_limit) as clear:
            migrate(engine)
            yield engine, clear
            leave_what_is_in_hand()
            engine.dispose()
    except (
        ClusterUnavailable,
        DatabaseOutOfReach,
        KeyFileUnusable,
        NoSuchDatabase,
        SecondWorker,
        SecretsUnreadable,
    ) as failure:
        raise stop(str(failure), status=1) from failure
    log.info("stopped")


@contextlib.contextmanager
def _metrics(settings: Settings, engine: Engine, clock: Clock) -> Iterator[str]:
    """Metrics where the settings want them; gives a line that says where."""
    if settings.metrics_port is None:
        yield ""
        return
    with contextlib.ExitStack() as stack:
        host, port = settings.metrics_host, settings.metrics_port
        try:
            address = stack.enter_context(metrics_served(engine, clock, host=host, port=port))
        except OSError as failure:
            advice = "FLEXMARKET_METRICS_PORT chooses another"
            raise stop(f"cannot listen on {host}:{port} ({failure.strerror}); {advice}", status=1) from failure
        yield f"\nmetrics at {address}"


def simulate(named: Path, out: Path | None, port: int | None) -> None:
    """Run a scenario, archive and print; then serve the pages on `port`, if there is one."""
    configure_logs("console", "warning")
    try:
        file = locate_scenario(named)
        scenario = read_scenario(file)
    except BadScenario as failure:
        raise stop(str(failure), status=BAD_INPUT) from failure
    # Before the day is run: a port that is taken should not cost a minute.
    listening = None if port is None else _listen(LOOPBACK, port, "--port chooses another, --no-serve does without")
    folder = _new_folder(out or Path("runs") / f"{scenario.name}-{datetime.now():%Y%m%d-%H%M%S}")
    keep_text(folder, file.read_text(encoding="utf-8"))
    try:
        finished = _run(scenario, folder, resume=False)
    except BadScenario as failure:
        shutil.rmtree(folder)  # nothing has happened yet
        complain(file, failure, status=BAD_INPUT)
    _show(finished, listening)


def resume(folder: Path, port: int | None, *, changed: bool) -> None:
    """Go on with a run that broke off; then as `simulate`. changed : also with what it was not begun with."""
    configure_logs("console", "warning")
    scenario = _scenario_in(folder)
    if (folder / MEASURES).exists():
        raise stop(f"{folder} is finished: `flexmarket rerun` repeats it", status=BAD_INPUT)
    listening = None if port is None else _listen(LOOPBACK, port, "--port chooses another, --no-serve does without")
    try:
        finished = _run(scenario, folder, resume=True, changed=changed)
    except BadScenario as failure:
        complain(folder, failure, status=BAD_INPUT)
    _show(finished, listening)


def rerun(folder: Path, out: Path | None) -> None:
    """Run a finished run again, and say where it is not the same bytes."""
    configure_logs("console", "warning")
    scenario = _scenario_in(folder)
    if not (folder / MEASURES).exists():
        raise stop(f"{folder} is not finished: flexmarket simulate --resume {folder} goes on", status=BAD_INPUT)
    for note in changed_since(folder, scenario):
        console.print(note, highlight=False, soft_wrap=True, markup=False)
    again = _new_folder(out or folder.with_name(f"{folder.name}-again-{datetime.now():%Y%m%d-%H%M%S}"))
    try:
        _run(scenario, again, resume=False)
    except BadScenario as failure:
        complain(folder, failure, status=BAD_INPUT)
    found = differences(folder, again)
    for each in found:
        console.print(str(each), highlight=False, soft_wrap=True, markup=False)
    if not found:
        console.print(f"The same bytes  {again}", highlight=False, soft_wrap=True)
        return
    for name in other_versions(folder, again):
        console.print(f"computed with {name}", highlight=False, soft_wrap=True, markup=False)
    raise stop(f"{again} is not the same as {folder}: {_files(len(found))}", status=1)


def _files(count: int) -> str:
    return "1 file differs" if count == 1 else f"{count} files differ"


def _scenario_in(folder: Path) -> Scenario:
    try:
        return scenario_in(folder)
    except NoRun as failure:
        raise stop(str(failure), status=BAD_INPUT) from failure


def _new_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True)
    except OSError as failure:
        raise stop(f"{folder}: cannot be made ({failure.strerror})", status=BAD_INPUT) from failure
    return folder


def _run(scenario: Scenario, folder: Path, *, resume: bool, changed: bool = False) -> Finished:
    """Raises BadScenario; whatever else goes wrong ends the process with a sentence."""
    try:
        with progress_bar(console) as told:
            finished = asyncio.run(run_scenario(scenario, folder=folder, progress=told, resume=resume, changed=changed))
            told("report", 1.0)
            publish(folder)
    except BadScenario:
        raise
    except (FlexmarketError, MarketError) as failure:
        raise stop(str(failure), status=1) from failure
    except OSError as failure:
        raise stop(f"{failure.filename}: {failure.strerror}; {_goes_on(folder)}", status=1) from failure
    except KeyboardInterrupt as failure:
        raise stop(f"stopped; {_goes_on(folder)}", status=STOPPED) from failure
    return finished


def _goes_on(folder: Path) -> str:
    return f"flexmarket simulate --resume {folder} goes on after the last delivery that is settled"


def _show(finished: Finished, listening: socket.socket | None) -> None:
    """The short table, where everything is, and the pages until stopped."""
    folder, scenario = finished.folder, finished.last.scenario
    console.print(short_table(scenario.title, RunFolder.at(folder).rows))
    console.print(f"Run folder  {folder}\nReport      {folder / REPORT}", highlight=False, soft_wrap=True)
    if finished.note is not None:
        console.print(f"It could not have been resumed: {finished.note}", highlight=False, soft_wrap=True, markup=False)
    if listening is not None:
        console.print(f"Pages       {_address(listening)} (Ctrl-C ends it)", highlight=False, soft_wrap=True)
        with contextlib.suppress(KeyboardInterrupt):  # before it serves, too, Ctrl-C is how it ends
            _serve_run(folder, finished.last.auction.delivery.end, listening)


def _serve_run(folder: Path, ends: datetime, listening: socket.socket) -> None:
    """Serve the pages of a finished run's market, whose time stands still at `ends`, until stopped."""
    engine = open_engine(f"sqlite:///{folder / DATABASE}")
    try:
        settings = Settings(runs_dir=folder.parent)
        api = create_app(settings, clock=SimulatedClock(ends), engine=engine, watch_gates=False, send_webhooks=False)
        serve_until_stopped(api, listening, stop_within=settings.stop_within)
    finally:
        engine.dispose()


def create_operator(name: str) -> None:
    """Register the first operator and print its credentials."""
    engine = _engine(read_settings())
    migrate(engine)
    try:
        credentials = bootstrap_operator(name, engine=engine, clock=SystemClock())
    except AlreadyExists as failure:
        stderr.print("this market has an operator already; its credentials were shown when it was created")
        raise typer.Exit(1) from failure
    console.print_json(credentials.model_dump_json())


def rotate_signing_key(*, at_once: bool) -> None:
    """Make the key that signs access tokens from now on, and say what becomes of the others."""
    settings = read_settings()
    engine = _engine(settings)
    migrate(engine)
    key = rotate_keys(now=SystemClock().now(), token_ttl=settings.token_ttl, engine=engine, at_once=at_once)
    fate = "are refused within a minute" if at_once else f"stay valid for up to {settings.token_ttl}"
    console.print(f"key {key.kid} signs from now on; tokens of older keys {fate}", highlight=False, soft_wrap=True)


def verify_audit(file: Path | None) -> None:
    """Verify the database against its audit log, and against a saved head; print what does not fit."""
    saved = None if file is None else _saved_head(file)
    found = verify_log(engine=_engine_with_log(), saved=saved)
    for each in found.findings:
        console.print(str(each), highlight=False, soft_wrap=True, markup=False)
    console.print(
        f"{found.rows} rows, {found.erased} deleted; {found.leaves} leaves in the log, {found.waiting} to be built in; "
        f"{found.heads} heads; {len(found.findings)} defects",
        highlight=False,
        soft_wrap=True,
    )
    if found.findings:
        raise typer.Exit(1)


def print_audit_head() -> None:
    """Print the newest signed head of the audit log."""
    head = last_head(engine=_engine_with_log())
    if head is None:
        raise stop("the audit log has no head yet; a market that is served builds it every second", status=1)
    console.print_json(head.model_dump_json())


def erase_row(table: str, key: str) -> None:
    """Erase a person's row from the database."""
    try:
        erase(table, key, engine=_engine_with_log())
    except (NotFound, CannotBeErased) as failure:
        raise stop(str(failure), status=1) from failure


def reseal_secrets(*, new_key: bool, lost: bool) -> None:
    """Seal the secrets in the database with the first key of the key file, and say how many were sealed otherwise."""
    engine = _engine(read_settings())
    vault = vault_of(engine)
    try:
        if new_key:
            console.print(
                f"key file {vault.file}: {vault.add_key()} keys, a new one first", highlight=False, soft_wrap=True
            )
        replaced, sealed = reseal(engine=engine, lost=lost)
    except (KeyFileUnusable, SecretsUnreadable) as failure:
        raise stop(str(failure), status=1) from failure
    finally:
        engine.dispose()
    if lost:
        console.print(f"{replaced} secrets that no key opens were replaced", highlight=False, soft_wrap=True)
    console.print(
        f"{sealed} secrets were sealed anew with the first key of {vault.file}", highlight=False, soft_wrap=True
    )


def _engine(settings: Settings) -> Engine:
    return open_engine(settings.database_url, key_file=settings.key_file)


def _engine_with_log() -> Engine:
    """The market's database as it is: what is to be verified is not migrated before."""
    engine = _engine(read_settings())
    if not has_log(engine):
        shown = engine.url.render_as_string(hide_password=True)
        raise stop(f"{shown}: no market with an audit log; FLEXMARKET_DATABASE_URL chooses another", status=BAD_INPUT)
    return engine


def _saved_head(file: Path) -> TreeHead:
    try:
        return TreeHead.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as failure:
        raise stop(f"{file}: no head of an audit log ({type(failure).__name__})", status=BAD_INPUT) from failure


def _listen(host: str, port: int, advice: str) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as failure:
        raise stop(f"cannot listen on {host}:{port} ({failure.strerror}); {advice}", status=1) from failure


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{host}:{port}"
