"""Figures and verdicts: pure arithmetic on what the generator, the shop and the provider recorded."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.storm.books import Books
from benchmarks.storm.processes import NOT_THE_SHOP
from benchmarks.storm.reached import GRACE, Reached
from benchmarks.storm.records import BuyerRecord, OrdinaryRecord

TIMEOUT = 30.0  # seconds from the intended click to the first truthful answer
# The bars of issue 3.
SLOWEST_P99 = 15.0
ORDINARY_RATIO, ORDINARY_AIM = 3.0, 1.5
ORDINARY_LEAST = 300
CHECKOUTS_PER_CPU_SECOND, CHECKOUTS_AIM = 30.0, 100.0
GENERATOR_SHARE = 0.70
# And of issue 5.
GATEWAY_P99, GATEWAY_AIM, MOST_REACHED = 3.0, 2.0, 0.01

PERCENTILES = (50.0, 99.0, 99.9, 100.0)
PROVIDER_STEP = "pay"  # the one step that the sandbox answers, not the shop


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all do not exceed (nearest rank); NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    # Rounded first: 99.9 / 100 * 1000 is 999.0000000000001 to a float.
    rank = math.ceil(round(percent / 100 * len(ordered), 9))
    return ordered[max(rank, 1) - 1]


def spread(values: Sequence[float]) -> dict[str, float]:
    names = {50.0: "p50", 95.0: "p95", 99.0: "p99", 99.9: "p99.9", 100.0: "max"}
    return {names[percent]: round(percentile(values, percent), 4) for percent in PERCENTILES}


@dataclass(frozen=True)
class Bar:
    """One claim of the issue and whether this run bears it out; None: it was not measured."""

    claim: str
    holds: bool | None

    def __str__(self) -> str:
        word = "not run" if self.holds is None else "PASS" if self.holds else "FAIL"
        return f"{word:<8}{self.claim}"


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Everything a run leaves behind to be judged."""

    buyers: list[BuyerRecord]
    ordinary: list[OrdinaryRecord]
    totals: dict[str, Any]  # the generator's own
    imported: list[str]
    paid_trades: list[str]  # out_trade_no of what the provider captured
    verified: dict[str, list[str]]  # findings by check of `verify --settled`
    storm_at: float
    storm_ends: float  # who clicks later is counted everywhere but in the times until the first answer
    ordinary_rate: float
    books: Books | None = None  # None where there is no line
    reached: Reached | None = None  # None where there is no gateway
    cpu: dict[str, float] = field(default_factory=dict)  # by role, from first click to last key


@dataclass(frozen=True, kw_only=True)
class Results:
    figures: dict[str, Any]
    bars: list[Bar]

    @property
    def passed(self) -> bool:
        return all(bar.holds is not False for bar in self.bars)


def truthful_seconds(buyers: Sequence[BuyerRecord]) -> list[float]:
    """From the intended click to the first truthful answer; the timeout for whoever never had one."""
    return [TIMEOUT if b.truthful is None else b.truthful - b.intended for b in buyers]


def first_seconds(buyers: Sequence[BuyerRecord]) -> list[float]:
    return [TIMEOUT if b.first is None else b.first - b.intended for b in buyers]


def timed_out(buyer: BuyerRecord) -> bool:
    return buyer.truthful is None or buyer.truthful - buyer.intended > TIMEOUT


def server_errors(totals: Mapping[str, Any]) -> int:
    """Answers of 5xx that the shop gave, to anybody; the provider's own are not the shop's.

    Nor is it an error that the gateway has no place for a click and says when to ask again.
    """
    answers: int = sum(
        times
        for step, counted in totals["steps"].items()
        if step != PROVIDER_STEP
        for status, times in counted["statuses"].items()
        if int(status) >= 500
    )
    return answers - int(totals["unheard"])


def ordinary_seconds(
    records: Sequence[OrdinaryRecord], *, storm_at: float, rate: float, last_truthful: float
) -> tuple[list[float], list[float]]:
    """Seconds before and during the storm; one that never ended counts as the timeout.

    Before: the last ORDINARY_LEAST due ahead of the first click. During: from then until the last
    buyer was told the truth, or as many as before, if those are more.
    """
    window = ORDINARY_LEAST / rate if rate else 0.0
    end = max(last_truthful, storm_at + window)
    took = [(r.intended, TIMEOUT if r.seconds is None else r.seconds) for r in records]
    # The last one before is due one interval ahead of the storm: half of one keeps rounding out of it.
    half = 0.5 / rate if rate else 0.0
    before = [s for at, s in took if storm_at - window - half <= at < storm_at - half]
    during = [s for at, s in took if storm_at - half <= at < end - half]
    return before, during


def _rate(count: int, start: float, end: float | None) -> float:
    return round(count / (end - start), 1) if end is not None and end > start else 0.0


def _nth(moments: Sequence[float | None], count: int) -> float | None:
    """When `count` of them had come."""
    come = sorted(moment for moment in moments if moment is not None)
    return come[count - 1] if 0 < count <= len(come) else None


def judge(observed: Observed) -> Results:
    """The figures of the run, and the issue's bars."""
    figures = _storm_figures(observed)
    figures["ordinary"] = ordinary = _ordinary_figures(observed)
    figures["cpu_seconds"] = observed.cpu
    sold = figures["keys"]["received"]
    shops = sum(used for role, used in observed.cpu.items() if role not in NOT_THE_SHOP)
    figures["checkouts_per_cpu_second"] = round(sold / shops, 1) if shops else None
    figures["checkouts_cpu_ms"] = {
        role: round(1000 * used / sold, 2) for role, used in observed.cpu.items() if sold
    }
    figures["books"] = asdict(observed.books) if observed.books else {}
    bars = [*_answer_bars(figures), *_sale_bars(figures, observed), *_other_bars(figures, ordinary)]
    if observed.books:
        bars.append(_books_bar(observed.books))
    if observed.reached:
        figures["reached"] = asdict(observed.reached)
        bars += _gateway_bars(figures, observed.reached)
    return Results(figures=figures, bars=bars)


def _storm_figures(observed: Observed) -> dict[str, Any]:
    buyers, totals = observed.buyers, observed.totals
    rush = [b for b in buyers if b.intended <= observed.storm_ends]
    clicked = min((b.intended for b in buyers), default=0.0)
    answered = [b.first for b in buyers if b.first is not None]
    tickets = {b.ticket for b in buyers if b.ticket}
    received = Counter(key for b in buyers for key in b.keys)
    stock = len(observed.imported)
    keyed = [b.keyed for b in buyers]
    return {
        "buyers": len(buyers),
        "stock": stock,
        "behaviours": dict(Counter(b.behaviour for b in buyers)),
        "truths": dict(Counter(b.truth or "none" for b in buyers)),
        "outcomes": dict(Counter(b.outcome for b in buyers)),
        "first_answers": dict(Counter(b.first_kind or "none" for b in buyers)),
        "truthful_s": spread(truthful_seconds(rush)),
        "first_answer_s": spread(first_seconds(rush)),
        "clicks_per_s": _rate(len(rush), clicked, max((b.intended for b in rush), default=None)),
        "answers_per_s": _rate(len(answered), clicked, max(answered, default=None)),
        "admissions": len(tickets),
        "admissions_per_s": _rate(
            len(tickets), clicked, max((b.first for b in buyers if b.ticket and b.first), default=None)
        ),
        "orders_per_s": _rate(stock, clicked, _nth([b.held for b in buyers], stock)),
        "holds": sum(b.held is not None for b in buyers),
        "all_held_s": _after(clicked, _nth([b.held for b in buyers], stock)),
        "half_keyed_s": _after(clicked, _nth(keyed, stock // 2)),
        "all_keyed_s": _after(clicked, _nth(keyed, stock)),
        "timeouts": sum(map(timed_out, buyers)),
        "request_timeouts": sum(step["timed_out"] for step in totals["steps"].values()),
        "no_connection": sum(step["no_connection"] for step in totals["steps"].values()),
        "connection_lost": sum(step["connection_lost"] for step in totals["steps"].values()),
        "unreadable": sum(step["unreadable"] for step in totals["steps"].values()),
        "stale_connections": totals["stale"],
        "syn_retransmits": totals["syn_retransmits"],
        "retransmits": totals["retransmits"],
        "retries": sum(b.retries for b in buyers),
        "server_errors": server_errors(totals),
        "lost_tickets": sum(b.lost_tickets for b in buyers),
        "backwards": sum(b.backwards for b in buyers),
        "two_tickets": sum(b.two_tickets for b in buyers),
        "keys": {
            "received": sum(received.values()),
            "distinct": len(received),
            "unknown": len(set(received) - set(observed.imported)),
            "never_received": len(set(observed.imported) - set(received)),
        },
        "paid_at_provider": len(observed.paid_trades),
        "generator": {
            name: totals[name]
            for name in (
                "cpu_s",
                "wall_s",
                "busy_share",
                "busiest_second",
                "overall_share",
                "latest_start_s",
                "connections",
                "most_open",
            )
        },
        "steps": totals["steps"],
        "verify": {name: len(findings) for name, findings in observed.verified.items()},
    }


def _after(start: float, moment: float | None) -> float | None:
    return None if moment is None else round(moment - start, 3)


def _ordinary_figures(observed: Observed) -> dict[str, Any]:
    last_truthful = max((b.truthful for b in observed.buyers if b.truthful is not None), default=0.0)
    before, during = ordinary_seconds(
        observed.ordinary,
        storm_at=observed.storm_at,
        rate=observed.ordinary_rate,
        last_truthful=last_truthful,
    )
    p95_before, p95_during = percentile(before, 95), percentile(during, 95)
    return {
        "rate_per_s": observed.ordinary_rate,
        "before": len(before),
        "during": len(during),
        "p50_before_s": round(percentile(before, 50), 4),
        "p50_during_s": round(percentile(during, 50), 4),
        "p95_before_s": round(p95_before, 4),
        "p95_during_s": round(p95_during, 4),
        "max_during_s": round(max(during, default=math.nan), 4),
        "ratio": round(p95_during / p95_before, 2) if before and during else None,
        "unfinished": sum(r.done is None for r in observed.ordinary),
        "retries": sum(r.retries for r in observed.ordinary),
    }


def _answer_bars(figures: dict[str, Any]) -> list[Bar]:
    told = figures["buyers"] - figures["truths"].get("none", 0)
    p99 = figures["truthful_s"]["p99"]
    return [
        Bar(f"{told} of {figures['buyers']} buyers were told the truth", told == figures["buyers"]),
        Bar(f"{figures['timeouts']} waited longer than {TIMEOUT:.0f} s for it", figures["timeouts"] == 0),
        Bar(f"p99 of the first truthful answer {p99:.2f} s (below {SLOWEST_P99:.0f})", p99 < SLOWEST_P99),
        Bar(f"{figures['server_errors']} answers of 5xx", figures["server_errors"] == 0),
    ]


def _sale_bars(figures: dict[str, Any], observed: Observed) -> list[Bar]:
    keys, stock = figures["keys"], figures["stock"]
    matched = keys["distinct"] == keys["received"] == stock and not keys["unknown"]
    paid = Counter(observed.paid_trades)
    broken = sum(map(bool, observed.verified.values()))
    checks = len(observed.verified)
    return [
        Bar(f"{keys['received']} keys sold of {stock}, {keys['distinct']} distinct, all imported", matched),
        Bar(f"{len(paid)} payments at the provider", len(paid) == sum(paid.values()) == stock),
        Bar(
            f"{figures['two_tickets']} clicks sent twice were given two tickets", figures["two_tickets"] == 0
        ),
        Bar(f"{figures['backwards']} tickets went backwards", figures["backwards"] == 0),
        Bar(f"verify --settled: {checks - broken} of {checks} checks hold", checks > 0 and not broken),
    ]


def _other_bars(figures: dict[str, Any], ordinary: dict[str, Any]) -> list[Bar]:
    share, ratio = figures["generator"]["busy_share"], ordinary["ratio"]
    enough = min(ordinary["before"], ordinary["during"]) >= ORDINARY_LEAST
    if not ordinary["rate_per_s"]:
        beside = Bar("ordinary purchases beside the storm", None)
    else:
        beside = Bar(
            f"ordinary purchases: p95 {ordinary['ratio']} times that of before (at most {ORDINARY_RATIO:g}, "
            f"aim {ORDINARY_AIM:g}; {ordinary['before']} and {ordinary['during']} of them, "
            f"{ordinary['unfinished']} unfinished)",
            bool(enough and ratio is not None and ratio <= ORDINARY_RATIO and not ordinary["unfinished"]),
        )
    return [
        beside,
        Bar(
            f"the generator took {share:.0%} of a core (at most {GENERATOR_SHARE:.0%})",
            share <= GENERATOR_SHARE,
        ),
    ]


def _books_bar(books: Books) -> Bar:
    parts = " + ".join(f"{count} {kind}" for kind, count in sorted(books.rows.items()))
    missed = ", ".join(f"{count:+d} {kind}" for kind, count in books.uncounted.items())
    return Bar(
        f"books: {books.distinct} settled tickets = {parts}; not in the metrics: {missed or 'none'}",
        books.add_up and not books.uncounted,
    )


def _gateway_bars(figures: dict[str, Any], reached: Reached) -> list[Bar]:
    p99, share = figures["truthful_s"]["p99"], reached.share
    told = "none came" if share is None else f"{share:.2%} reached Django"
    return [
        Bar(f"p99 of the first truthful answer {p99:.2f} s (below {GATEWAY_P99:.0f})", p99 < GATEWAY_P99),
        Bar(f"the same, aimed at {GATEWAY_AIM:.0f} s", p99 < GATEWAY_AIM),
        Bar(
            f"of {reached.clicks} clicks over {GRACE:.0f} s after the first 'line full' {told} "
            f"(at most {MOST_REACHED:.0%})",
            None if share is None else share <= MOST_REACHED,
        ),
    ]


def checkouts_bar(figures: dict[str, Any], naive: dict[str, Any]) -> Bar:
    """Told of every run, judged where every buyer buys: a storm turns nine in ten away.

    `naive`: the figures of the same checkouts in a shop that locks the stock's row for every click.
    """
    rate, beside = figures["checkouts_per_cpu_second"], naive["checkouts_per_cpu_second"]
    ratio = f"{rate / beside:.2f} times" if rate and beside else "beside"
    return Bar(
        f"{rate} checkouts per CPU second (at least {CHECKOUTS_PER_CPU_SECOND:.0f}, aim {CHECKOUTS_AIM:.0f}),"
        f" {ratio} the naive shop's {beside}",
        bool(rate and rate >= CHECKOUTS_PER_CPU_SECOND),
    )


def rows(results: Results) -> list[tuple[str, str]]:
    """The figures flat, for the CSV: `truthful_s.p99`, `0.41`."""
    return [("bar: " + bar.claim, str(bar.holds)) for bar in results.bars] + list(_flat(results.figures))


def _flat(value: object, name: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [
            pair for key, inner in value.items() for pair in _flat(inner, f"{name}.{key}" if name else key)
        ]
    return [(name, str(value))]


def as_json(results: Results) -> dict[str, Any]:
    return {"bars": [asdict(bar) for bar in results.bars], **results.figures}


def cumulative(moments: Sequence[float], *, points: int = 400) -> list[tuple[float, float]]:
    """(moment, how many had come by then), thinned to about `points` steps."""
    ordered = sorted(moments)
    stride = max(1, len(ordered) // points)
    return [(moment, float(n)) for n, moment in enumerate(ordered, 1) if n % stride == 0 or n == len(ordered)]
