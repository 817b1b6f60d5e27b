"""make bench-overload: how many clicks a second the shop turns into orders, and then five times as many."""

import argparse
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import count
from typing import Any

from benchmarks.overload.judge import (
    Observed,
    Step,
    clicked_within,
    judge,
    knee_of,
    peak_of,
    per_second,
    share_of_a_core,
)
from benchmarks.overload.picture import draw
from benchmarks.overload.plan import in_a_row
from benchmarks.overload.stage import Run, Stage, say
from benchmarks.results import save
from benchmarks.storm.build import NoCompiler, compile_generator
from benchmarks.storm.results import percentile, timed_out, truthful_seconds
from benchmarks.storm.running import VOID
from tests.gateways import Gateway
from tests.stack import REPOSITORY, RunningShop

PLACE = REPOSITORY / "var" / "overload"
# All addresses that the generator may call from; the buyers' own come in X-Forwarded-For.
ENVIRONMENT = {"TRUSTED_PROXIES": "127.0.0.0/8"}
WARM_UP = 3.0  # seconds in front of what is compared: connections are opened, caches filled
SETTLING = 60.0  # seconds granted afterwards until the books must be in order


class NotMeasured(Exception):
    """The generator was the bottleneck, or the shop was never the one."""


def main() -> int:
    options = _options()
    shutil.rmtree(PLACE / "shop", ignore_errors=True)
    PLACE.mkdir(parents=True, exist_ok=True)
    try:
        program = compile_generator(PLACE / "build")
    except NoCompiler as error:
        say(str(error))
        return 1
    say(f"seed {options.seed} (--seed {options.seed} repeats it)")
    with RunningShop(PLACE / "shop", environment=ENVIRONMENT) as shop, Gateway(shop) as gateway:
        stage = Stage(shop, gateway, program, PLACE, options.seed)
        try:
            steps = list(ramp(stage, options))
        except NotMeasured as error:
            say(f"VOID: {error}")
            return VOID
        observed, run = overload(stage, steps, options)
    return _tell(observed, run, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("make bench-overload", description=__doc__)
    add = parser.add_argument
    add("--first-rate", type=float, default=100.0, help="clicks/s of the ramp's first step")
    add("--factor", type=float, default=1.25, help="from one step of the ramp to the next")
    add("--most-rate", type=float, default=5000.0, help="clicks/s at which the ramp gives up")
    add("--step", type=float, default=8.0, help="seconds that goodput is counted in each step")
    add("--times", type=float, default=5.0, help="the overload, in times of the knee's rate")
    add("--before", type=float, default=30.0, help="seconds at half the knee's rate")
    add("--seconds", type=float, default=60.0, help="of the overload")
    add("--after", type=float, default=20.0, help="seconds at half the knee's rate again")
    add("--ordinary-rate", type=float, default=10.0, help="purchases/s of another product, all the time")
    add("--seed", type=int, default=secrets.randbelow(10**6))
    return parser.parse_args()


def ramp(stage: Stage, options: argparse.Namespace) -> Iterator[Step]:
    """Steps of rising rate, until goodput rises no more. Raises NotMeasured."""
    stage.run(in_a_row(("warm-up", options.step, options.first_rate)), ordinary_rate=options.ordinary_rate)
    steps: list[Step] = []
    for number in count():
        rate = options.first_rate * options.factor**number
        if rate > options.most_rate:
            raise NotMeasured(f"no knee up to {options.most_rate:,.0f} clicks/s (--most-rate)")
        parts = in_a_row(("warm-up", WARM_UP, rate), ("step", options.step, rate))
        run = stage.run(parts, ordinary_rate=options.ordinary_rate)
        steps.append(_step(run))
        say(_sentence(steps[-1]))
        if not run.counts:
            raise NotMeasured(f"the generator itself was the bottleneck at {rate:,.0f} clicks/s")
        yield steps[-1]
        if knee := knee_of(steps):
            if knee is steps[0]:
                raise NotMeasured(f"goodput rose at no step after {knee.rate:,.0f} clicks/s (--first-rate)")
            return


def _step(run: Run) -> Step:
    part = run.parts[-1]
    buyers = clicked_within(run.buyers, part.start, part.end)
    took = truthful_seconds(buyers)
    return Step(
        rate=part.rate,
        # More than is offered is what the warm-up had left behind.
        goodput=min(part.rate, per_second(run.committed, part.start, part.end)),
        p50=percentile(took, 50),
        p99=percentile(took, 99),
        never_told=sum(map(timed_out, buyers)),
        generator=share_of_a_core(run.totals["cpu_by_second"], part.start, part.end),
    )


def _sentence(step: Step) -> str:
    return (
        f"{step.rate:>7,.0f} clicks/s: {step.goodput:>7,.1f} orders/s, truth p50 {step.p50:.2f} s, "
        f"p99 {step.p99:.2f} s, generator {step.generator:.0%}"
    )


def overload(stage: Stage, steps: list[Step], options: argparse.Namespace) -> tuple[Observed, Run]:
    knee = knee_of(steps)
    if knee is None:
        raise ValueError("a ramp without a knee")
    light, much = knee.rate / 2, knee.rate * options.times
    say(f"knee at {knee.rate:,.0f} clicks/s, peak {peak_of(steps):,.1f} orders/s; now {much:,.0f} clicks/s")
    parts = in_a_row(
        ("warm-up", WARM_UP, light),
        ("before", options.before, light),
        ("overload", options.seconds, much),
        ("after", options.after, light),
    )
    run = stage.run(parts, ordinary_rate=options.ordinary_rate)
    _, before, during, after = run.parts
    observed = Observed(
        steps=steps,
        knee=knee,
        before=before,
        overload=during,
        after=after,
        buyers=run.buyers,
        ordinary=run.ordinary,
        committed=run.committed,
        cpu_by_second=run.totals["cpu_by_second"],
        starved=run.totals["starved"],
        free=stage.free(),
        verified=stage.findings(within=SETTLING),
    )
    return observed, run


def _tell(observed: Observed, run: Run, options: argparse.Namespace) -> int:
    figures, bars = judge(observed)
    figures["run"] = {
        "at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "options": vars(options),
    }
    figures["bars"] = {bar.claim: bar.holds for bar in bars}
    figures["cpu_seconds"] = {part.name: run.cpu_of(part) for part in observed.parts}
    figures["generator"] = {
        name: run.totals[name] for name in ("connections", "most_open", "starved", "stale", "syn_retransmits")
    }
    print(_table(figures), flush=True)
    for name, found in observed.verified.items():
        for finding in found[:5]:
            say(f"  {name}: {finding}")
    for bar in bars:
        print(bar, flush=True)
    conditions = (
        f"{os.cpu_count()} cores for everything, the load generator included · open loop, through the gateway"
        f" · {options.ordinary_rate:g} ordinary purchases a second beside · seed {options.seed}"
    )
    save("overload", figures, _rows(observed, figures), draw(figures, observed, conditions=conditions))
    if not bars[-1].holds:
        say("VOID: the generator itself was the bottleneck; these figures say nothing")
        return VOID
    sound = observed.free > 0 and not any(observed.verified.values())
    return 0 if sound else 1


def _rows(observed: Observed, figures: dict[str, Any]) -> list[dict[str, Any]]:
    """The ramp's steps and the parts alike, for the CSV."""
    names = ("goodput", "p50", "p99", "never_told", "generator")
    ramp_steps = [
        {"what": "step", "offered": step.rate, **{name: getattr(step, name) for name in names}}
        for step in observed.steps
    ]
    parts = [
        {"what": name, "offered": part["offered"], **{column: part[column] for column in names}}
        for name, part in figures["parts"].items()
    ]
    return [*ramp_steps, *parts]


def _table(figures: dict[str, Any]) -> str:
    parts, ordinary = figures["parts"], figures["ordinary"]
    numbers = {
        "clicks/s offered": "offered",
        "orders/s committed": "goodput",
        "truth p50, s": "p50",
        "truth p99, s": "p99",
        "not told within 30 s": "never_told",
        "requests timed out": "request_timeouts",
        "no connection": "no_connection",
        "connection lost": "connection_lost",
        "tries beyond the first": "retries",
        "generator, share of a core": "generator",
    }
    lines = ["", _row("", *parts)]
    for title, name in numbers.items():
        lines.append(_row(title, *(_number(part[name]) for part in parts.values())))
    lines += [_row(f"ordinary {at}, s", *map(_number, ordinary[at].values())) for at in ("p50", "p95")]
    for name in ("statuses", "outcomes", "refusals"):
        for title, part in parts.items():
            lines.append(f"  {name} of those in {title}: {part[name] or 'none'}")
    lines += [f"  CPU seconds in {title}: {used}" for title, used in figures["cpu_seconds"].items()]
    by_second = ", ".join(map(_number, figures["p99"]["by_second_after"]))
    lines += [
        f"  p99 of each second after the overload: {by_second}",
        f"  the last of the crowd held {figures['p99']['last_of_the_crowd_held_after_s']:.1f} s after it",
        f"  generator: {figures['generator']}",
        "",
    ]
    return "\n".join(lines)


def _row(title: str, *cells: str) -> str:
    return f"  {title:<30}" + "".join(f"{cell:>14}" for cell in cells)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


if __name__ == "__main__":
    sys.exit(main())
