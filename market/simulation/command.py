"""The commands `flexmarket simulate`, `demo` and `rerun`: what they print, and how they end."""

import asyncio
import contextlib
import shutil
import socket
from datetime import datetime
from pathlib import Path

from api_spec.client import MarketError
from market.api.app import create_app
from market.api.serving import LOOPBACK, address_of, listen_or_stop, serve_until_stopped
from market.clock import SimulatedClock
from market.errors import FlexmarketError
from market.figures.run_folder import REPORT, RunFolder
from market.logs import configure as configure_logs
from market.settings import Settings
from market.simulation.archive import MEASURES, keep_text, publish
from market.simulation.progress import progress_bar
from market.simulation.rerun import NoRun, changed_since, differences, other_versions, scenario_in
from market.simulation.run import Finished
from market.simulation.run import simulate as run_scenario
from market.simulation.scenario import BadScenario, Scenario, locate_scenario, read_scenario
from market.simulation.summary import short_table
from market.simulation.world import DATABASE
from market.store import open_engine
from market.terminal import BAD_INPUT, STOPPED, complain, console, stop


def simulate(named: Path, out: Path | None, port: int | None) -> None:
    """Run a scenario, archive and print; then serve the pages on `port`, if there is one."""
    configure_logs("console", "warning")
    try:
        file = locate_scenario(named)
        scenario = read_scenario(file)
    except BadScenario as failure:
        raise stop(str(failure), status=BAD_INPUT) from failure
    # Before the day is run: a port that is taken should not cost a minute.
    listening = _listening(port)
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
    listening = _listening(port)
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


def _listening(port: int | None) -> socket.socket | None:
    if port is None:
        return None
    return listen_or_stop(LOOPBACK, port, "--port chooses another, --no-serve does without")


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
        console.print(f"Pages       {address_of(listening)} (Ctrl-C ends it)", highlight=False, soft_wrap=True)
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
