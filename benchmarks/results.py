"""What a measurement leaves behind: a verdict on each bar, and files in var/bench."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.own_servers import RESULTS


@dataclass(frozen=True)
class Bar:
    """One claim and whether this run bears it out. Never a reason to fail a build: machines differ."""

    claim: str
    holds: bool

    def __str__(self) -> str:
        return f"{'PASS' if self.holds else 'FAIL':<6}{self.claim}"


def save(name: str, figures: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], picture: str = "") -> None:
    """NAME.json, NAME.csv and, if there is a picture, NAME.svg."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=2, default=str) + "\n")
    if picture:
        (RESULTS / f"{name}.svg").write_text(picture)
    with (RESULTS / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    saved = [f"{name}.{kind}" for kind in ("json", "csv", *(["svg"] if picture else []))]
    print(f"saved in var/bench: {', '.join(saved)}", flush=True)
