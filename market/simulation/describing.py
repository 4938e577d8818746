"""A run's folder says what is in it: the data dictionary beside the tables, and a page to begin with."""

import json
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from market.figures.run_folder import RESULTS
from market.simulation.dictionary import document, in_markdown

DICTIONARY: Final = "dictionary.json"
PAGE: Final = "README.md"
_BEGINS: Final = """\
# {title}

A run of flexmarket. `report.html` shows it, `measures.json` measures it, `results/` has all of it, one Parquet file for
each table:

```python
import pandas as pd
voltages = pd.read_parquet("results/physical_voltages.parquet")
voltages.groupby("bus").voltage_pu.min()
```

`inputs/` and `versions.json` say what it was computed from and with; `flexmarket rerun` on this folder repeats it and
compares every byte. Power is consumption positive, times are UTC, amounts of the ledger are exact decimals.

"""


def describe(folder: Path, *, title: str) -> None:
    """Write the dictionary of the tables that stand in a run's folder, and its page."""
    tables = {each.stem: pq.read_schema(each) for each in sorted((folder / RESULTS).glob("*.parquet"))}
    words = json.dumps(document(tables), indent=1, ensure_ascii=False)
    (folder / RESULTS / DICTIONARY).write_text(f"{words}\n", encoding="utf-8")
    (folder / PAGE).write_text(_BEGINS.format(title=title) + in_markdown(), encoding="utf-8")
