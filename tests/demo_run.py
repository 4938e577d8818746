"""`flexmarket demo` as a user runs it: a process of its own that serves its pages in the end."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMMAND = [sys.executable, "-c", "from market.cli import main; main()"]
TIMEOUT_S = 280


@dataclass(frozen=True)
class DemoRun:
    """A finished demonstration: what it printed, its folder, and where it serves."""

    printed: str
    folder: Path
    url: str


@contextlib.contextmanager
def demo_run(folder: Path) -> Iterator[DemoRun]:
    """Run the demonstration to its end; it serves on a free port until the block is left, then Ctrl-C must end it."""
    command = [*COMMAND, "demo", "--out", str(folder), "--port", "0"]
    environment = {**os.environ, "COLUMNS": "80", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as run:
        assert run.stdout is not None
        printed = ""
        for line in run.stdout:
            printed += line
            address = re.match(r"Pages\s+(http://127\.0\.0\.1:\d+)", line)
            if address:
                break
        else:
            raise AssertionError(f"the demonstration ended before it served:\n{printed}")
        try:
            yield DemoRun(printed, folder, address[1])
        finally:
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=TIMEOUT_S)
        assert run.returncode == 0, "Ctrl-C is how it is meant to end"
