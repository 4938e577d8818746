"""The command `flexmarket clear CASE.json -o RESULT.json`, process start and files included.

(a) is the LinDistFlow programme of the same market as sparse matrices handed straight to HiGHS, in the same run.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from api_spec.case import Case
from bench.lindistflow import solve_matrices
from bench.linear_market import LinearMarket
from bench.measuring import Options, Row, best_of, progress, ratio

SIZES: Final = ((233, 5_000),)


def run(options: Options) -> Iterator[Row]:
    for buses, offers in options.chosen(SIZES):
        progress(f"command: {buses} buses, {offers} offers")
        yield {"buses / offers": f"{buses} / {offers}", **_measured(options.case(buses, offers))}


def _measured(case: Case) -> Row:
    linear = LinearMarket.of(case)
    with tempfile.TemporaryDirectory() as folder:
        file, result = Path(folder) / "case.json", Path(folder) / "result.json"
        file.write_text(case.model_dump_json(), encoding="utf-8")
        command = [str(Path(sys.executable).with_name("flexmarket")), "clear", str(file), "-o", str(result)]
        a, _ = best_of(lambda: solve_matrices(linear))
        ours, _ = best_of(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
        case_mb, result_mb = (path.stat().st_size / 1e6 for path in (file, result))
    return {
        "(a) s": str(a),
        "command s": str(ours),
        "command / (a)": ratio(ours.seconds, a.seconds),
        "case MB": f"{case_mb:.1f}",
        "result MB": f"{result_mb:.1f}",
    }
