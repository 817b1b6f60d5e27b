"""Starts the generator on a plan, and says whether it could keep up."""

import subprocess
from pathlib import Path

from benchmarks.storm.stage import ORDINARY, STORM

VOID = 2  # the generator's exit code when it was itself the bottleneck


def generate(
    program: Path,
    *,
    var: Path,
    hot_url: str,
    web_url: str,
    deadline: float,
    seed: int,
    **manners: float,
) -> bool:
    """From `plan.tsv` in `var` come `buyers.tsv`, `ordinary.tsv` and `totals.json`; True if they count.

    `deadline`: seconds after the start, when nobody waits any longer. `manners`: `patience` for one request,
    `first_backoff` and `longest_backoff` between two tries, in seconds. Raises RuntimeError if it could not
    run at all.
    """
    arguments = {
        "plan": var / "plan.tsv",
        "buyers": var / "buyers.tsv",
        "shoppers": var / "ordinary.tsv",
        "totals": var / "totals.json",
        "hot": hot_url,
        "web": web_url,
        "storm-code": STORM,
        "ordinary-code": ORDINARY,
        "deadline": deadline,
        "seed": seed,
        **{name.replace("_", "-"): seconds for name, seconds in manners.items()},
    }
    command = [str(program), *(f"--{name}={value}" for name, value in arguments.items())]
    code = subprocess.run(command, check=False).returncode  # noqa: S603  our own program
    if code not in (0, VOID):
        raise RuntimeError(f"the generator ended with {code}")
    return code == 0
