"""The figures for a terminal."""

from typing import Any

from benchmarks.storm.processes import NOT_THE_SHOP
from benchmarks.storm.results import Results


def table(results: Results) -> str:
    figures = results.figures
    lines = ["", *_people(figures), "", *_pace(figures), "", *_network(figures), "", *_cpu(figures), ""]
    return "\n".join(lines)


def _row(name: str, *values: object) -> str:
    return f"  {name:<34}" + "".join(f"{value!s:>14}" for value in values)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f} s"


def _people(figures: dict[str, Any]) -> list[str]:
    return [
        _row("told first", *(f"{name} {n}" for name, n in sorted(figures["truths"].items()))),
        _row("in the end", *(f"{name} {n}" for name, n in sorted(figures["outcomes"].items()))),
        _row("sold / in stock", f"{figures['keys']['distinct']} / {figures['stock']}"),
        _row("paid at the provider", figures["paid_at_provider"]),
        _row("holds, lapsed ones included", figures["holds"]),
    ]


def _pace(figures: dict[str, Any]) -> list[str]:
    names = list(figures["truthful_s"])
    ordinary = figures["ordinary"]
    return [
        _row("", *names),
        _row("first truthful answer", *map(_seconds, figures["truthful_s"].values())),
        _row("first answer of any kind", *map(_seconds, figures["first_answer_s"].values())),
        _row("clicks/s, answers/s", figures["clicks_per_s"], figures["answers_per_s"]),
        _row("admissions, admissions/s", figures["admissions"], figures["admissions_per_s"]),
        _row("orders/s until all was held", figures["orders_per_s"]),
        _row("all held, half and all in hand", *map(_seconds, _moments(figures))),
        _row(
            "ordinary p95 before, during",
            _seconds(ordinary["p95_before_s"]),
            _seconds(ordinary["p95_during_s"]),
        ),
        _row("  during ÷ before", ordinary["ratio"]),
    ]


def _moments(figures: dict[str, Any]) -> list[float | None]:
    return [figures[name] for name in ("all_held_s", "half_keyed_s", "all_keyed_s")]


def _network(figures: dict[str, Any]) -> list[str]:
    names = (
        "timeouts",
        "server_errors",
        "request_timeouts",
        "no_connection",
        "connection_lost",
        "unreadable",
        "stale_connections",
        "syn_retransmits",
        "retransmits",
        "retries",
        "lost_tickets",
    )
    return [_row(name.replace("_", " "), figures[name]) for name in names]


def _cpu(figures: dict[str, Any]) -> list[str]:
    """Ordered by what they used; the checkouts' share of a millisecond stands beside."""
    each = figures["checkouts_cpu_ms"]
    used = sorted(figures["cpu_seconds"].items(), key=lambda pair: -pair[1])
    generator = figures["generator"]
    return [
        _row("CPU, first click to last key", "seconds", "ms a key"),
        *(_row(_shop_or_not(role), f"{seconds:.2f}", each.get(role, "–")) for role, seconds in used),
        _row("checkouts per CPU second", figures["checkouts_per_cpu_second"]),
        _row(
            "generator: s, share, busiest second",
            f"{generator['cpu_s']:.2f}",
            f"{generator['busy_share']:.0%}",
            f"{generator['busiest_second']:.0%}",
        ),
        _row("generator's latest start", _seconds(generator["latest_start_s"])),
    ]


def _shop_or_not(role: str) -> str:
    return f"  ({role})" if role in NOT_THE_SHOP else f"  {role}"
