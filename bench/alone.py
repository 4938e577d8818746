"""One clearing in a process of its own: its time, and the memory that it takes.

python -m bench.alone CASE.json

prints one line of JSON; `clear_alone` starts that and reads it.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from api_spec.case import Case
from market.case_file import read_case
from market.clearing import clear


@dataclass(frozen=True)
class Alone:
    """What a process of its own needed for one clearing.

    seconds : of `clear`. case_mb : memory of the case that was read. peak_mb : highest memory while clearing, the
    case included; both in MB (10^6 bytes) above what the imports take.
    """

    seconds: float
    case_mb: float
    peak_mb: float
    status: str
    cost_eur: str


def clear_alone(case: Case) -> Alone:
    """Clear a case in a fresh process. CalledProcessError where that fails, its reason on stderr."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "case.json"
        file.write_text(case.model_dump_json(), encoding="utf-8")
        command = [sys.executable, "-m", "bench.alone", str(file)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    return Alone(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    imports = _resident_mb()
    case = read_case(Path(sys.argv[1]))
    read = _resident_mb()
    _forget_peak()
    started = time.perf_counter()
    result = clear(case)
    seconds = time.perf_counter() - started
    found = Alone(
        seconds=seconds,
        case_mb=read - imports,
        peak_mb=_peak_mb() - imports,
        status=result.status,
        cost_eur=str(result.cost_eur),
    )
    print(json.dumps(asdict(found)))


def _resident_mb() -> float:
    """Memory held now, or where the system does not say, the highest so far [MB]."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return _peak_mb()
    return pages * resource.getpagesize() / 1e6


def _forget_peak() -> None:
    """Let the peak count from now on, where the system can; else reading the case counts, too."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mb() -> float:
    """Highest memory held [MB]."""
    try:
        # Not ru_maxrss, which on Linux starts from the memory of the process that started this one.
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        (peak,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return peak * 1024 / 1e6


if __name__ == "__main__":
    main()
