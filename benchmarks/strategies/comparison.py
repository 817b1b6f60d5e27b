"""Units sold per second by every stock strategy, beside the same SQL without the shop; and the allocator
draining a full stream beside the bare statement that writes the same rows."""

import argparse
import secrets
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

from django.db import connections

import benchmarks.ready  # noqa: F401  models come after it
from benchmarks.results import Bar, save
from benchmarks.strategies.allocating import allocator_running, batches_of
from benchmarks.strategies.bare import in_batches, one_by_one, recorded
from benchmarks.strategies.callers import QUEUED, Tally, Task, serve
from benchmarks.strategies.draining import drain, fill
from benchmarks.strategies.picture import Group, draw
from benchmarks.strategies.stage import checkpoint, open_shop, queued_variant, stocked_variant
from cardshop.traffic.passes import BuyerPass
from inventory.models import Variant
from inventory.stock import STRATEGIES
from orders.admission.allocator import BATCH
from orders.models import Order
from orders.services.placing import place_order

PROCESSES = 4
CONNECTIONS = 64  # to the database, all processes together, for every strategy
CALLERS = (8, 64, 400)
BASELINE = "prededuct"
# Issue 3.
FACTOR, AT = 10.0, 64
KEPT, CROWD, FEW = 0.9, 400, 8
DRAINED = 0.5


@dataclass(frozen=True)
class Run:
    strategy: str
    callers: int
    per_second: float
    failed: int
    median_s: float
    batch: float = 1.0


def main() -> int:
    options = _options()
    shop = open_shop()
    direct = stocked_variant(shop, "bench-direct")
    queued = queued_variant(shop, "bench-queued")
    bare = stocked_variant(shop, "bench-bare")
    runs = _sell(options, direct, queued)
    drained, batched = _drain(options, queued, bare)
    plain = _bare(options, runs, bare)
    return _tell(options, runs, plain, drained, batched)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.strategies", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="counted in each run")
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--clicks", type=int, default=20_000, help="in the stream that is drained")
    return parser.parse_args()


# Selling


def _sell(options: argparse.Namespace, direct: Variant, queued: Variant) -> list[Run]:
    """Every strategy with every number of callers; then all of it again, so that noise meets everybody."""
    variants = {**dict.fromkeys(STRATEGIES, direct.pk), QUEUED: queued.pk}
    runs = []
    with _processes(variants) as (processes, start), allocator_running():
        for number in range(options.rounds):
            for callers in CALLERS:
                for strategy in variants:
                    run = _run(strategy, callers, options, processes, start, queued)
                    runs.append(run)
                    say(f"round {number + 1}: {strategy:<12}{callers:>4} callers{run.per_second:>8,.0f}/s")
    return runs


@contextmanager
def _processes(variants: dict[str, int]) -> Iterator[tuple[list[Connection], Barrier]]:
    context = get_context("spawn")
    start = context.Barrier(PROCESSES)
    connections.close_all()
    ends, processes = [], []
    for _ in range(PROCESSES):
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, start, variants), daemon=True)
        process.start()
        ends.append(ours)
        processes.append(process)
    yield ends, start
    for end in ends:
        end.send(None)
    for process in processes:
        process.join()


def _run(
    strategy: str,
    callers: int,
    options: argparse.Namespace,
    processes: Sequence[Connection],
    start: Barrier,
    queued: Variant,
) -> Run:
    checkpoint()
    before = batches_of(queued)
    each = callers // PROCESSES
    task = Task(strategy, each, CONNECTIONS // PROCESSES, options.warm_up, options.seconds)
    for process in processes:
        process.send(task)
    tallies: list[Tally] = [process.recv() for process in processes]
    latencies = [seconds for tally in tallies for seconds in tally.seconds]
    if not latencies:
        raise RuntimeError(f"{strategy} sold nothing to {callers} callers")
    return Run(
        strategy=strategy,
        callers=callers,
        per_second=sum(tally.sold for tally in tallies) / options.seconds,
        failed=sum(tally.failed for tally in tallies),
        median_s=statistics.median(latencies),
        batch=batches_of(queued, since=before).size if strategy == QUEUED else 1.0,
    )


# Without the shop


def _bare(options: argparse.Namespace, runs: Sequence[Run], variant: Variant) -> dict[tuple[str, int], float]:
    """Orders/s of the same SQL by pgbench: the baseline's, and the queue's in batches as large as its own."""
    plain = {}
    script = recorded(lambda: _place(variant))
    for callers in CALLERS:
        clients = min(callers, CONNECTIONS)
        plain[BASELINE, callers] = one_by_one(script, clients=clients, seconds=options.seconds)
        batch = round(statistics.median(run.batch for run in _of(runs, QUEUED, callers)))
        plain[QUEUED, callers] = in_batches(variant, batch=batch, seconds=options.seconds)
        say(f"pgbench: {BASELINE} SQL, {clients} clients: {plain[BASELINE, callers]:,.0f} orders/s")
        say(f"pgbench: {QUEUED} SQL, {batch} orders a batch: {plain[QUEUED, callers]:,.0f} orders/s")
    return plain


def _place(variant: Variant) -> Order:
    buyer = BuyerPass(secrets.token_urlsafe(16), variant.code, expires_at=0)
    return place_order(
        shop=variant.shop,
        variant_code=variant.code,
        quantity=1,
        contact_email=f"{buyer.buyer_id}@example.org",
        buyer=buyer,
        idempotency_key=secrets.token_urlsafe(16),
        language="zh-hans",
        now=datetime.now(UTC),
    )


def _drain(options: argparse.Namespace, queued: Variant, bare: Variant) -> tuple[list[float], list[float]]:
    """Clicks/s of the allocator on a full stream, and orders/s of its bare statement, by turns."""
    drained, batched = [], []
    for _ in range(options.rounds):
        fill(queued, options.clicks)
        drained.append(drain(queued).per_second)
        batched.append(in_batches(bare, batch=BATCH, seconds=options.seconds))
        say(f"drained {drained[-1]:,.0f} clicks/s; bare batches of {BATCH}: {batched[-1]:,.0f} orders/s")
    return drained, batched


# Telling


def _tell(
    options: argparse.Namespace,
    runs: Sequence[Run],
    plain: dict[tuple[str, int], float],
    drained: list[float],
    batched: list[float],
) -> int:
    strategies = [*STRATEGIES, QUEUED]
    rates = {(name, n): _median(runs, name, n) for name in strategies for n in CALLERS}
    print(f"\n  {'units sold/s':<26}" + "".join(f"{n:>6} callers" for n in CALLERS))
    for name in strategies:
        print(f"  {name:<26}" + "".join(f"{rates[name, n]:>14,.0f}" for n in CALLERS))
    for name in (BASELINE, QUEUED):
        print(f"  {f'{name} in bare pgbench':<26}" + "".join(f"{plain[name, n]:>14,.0f}" for n in CALLERS))
    batches = [statistics.median(run.batch for run in _of(runs, QUEUED, n)) for n in CALLERS]
    print(f"  {'orders in a queued batch':<26}" + "".join(f"{batch:>14,.0f}" for batch in batches))
    print(f"  {'failed (busy, or 3 s gone)':<26}", dict(_failures(runs)), "\n")

    factor = rates[QUEUED, AT] / rates[BASELINE, AT]
    kept = rates[QUEUED, CROWD] / rates[QUEUED, FEW]
    share = statistics.median(a / b for a, b in zip(drained, batched, strict=True))
    bars = [
        Bar(f"queued ÷ {BASELINE} at {AT} callers at least {FACTOR:.0f}: {factor:.1f}", factor >= FACTOR),
        Bar(f"queued at {CROWD} ÷ at {FEW} callers at least {KEPT}: {kept:.2f}", kept >= KEPT),
        Bar(
            f"allocator on a full stream ÷ bare batched SQL at least {DRAINED}: {share:.2f}", share >= DRAINED
        ),
    ]
    for bar in bars:
        print(bar)
    bare_bars = [(f"{name}, bare SQL", plain[name, AT]) for name in (BASELINE, QUEUED)]
    groups = [Group(f"{n} callers", [(name, rates[name, n]) for name in strategies]) for n in CALLERS]
    drains = [("allocator", statistics.median(drained)), ("bare statement", statistics.median(batched))]
    save(
        "strategies",
        {
            "queued_over_prededuct": factor,
            "queued_crowd_over_few": kept,
            "drained_over_bare": share,
            "sold_per_second": {f"{name} at {n}": rate for (name, n), rate in rates.items()},
            "bare_per_second": {f"{name} at {n}": rate for (name, n), rate in plain.items()},
            "drained_per_second": drained,
            "bare_batches_per_second": batched,
            "runs": [vars(run) for run in runs],
            "options": vars(options),
        },
        [vars(run) for run in runs],
        draw(
            f"The line sells {factor:.0f} × as fast when {AT} want the same thing",
            f"units sold per second; {PROCESSES} processes, at most {CONNECTIONS} connections, fsync on",
            [
                *groups,
                Group(f"the same SQL from pgbench, as at {AT} callers", bare_bars),
                Group("a full stream", drains),
            ],
        ),
    )
    return 0


def _of(runs: Sequence[Run], strategy: str, callers: int) -> list[Run]:
    return [run for run in runs if (run.strategy, run.callers) == (strategy, callers)]


def _median(runs: Sequence[Run], strategy: str, callers: int) -> float:
    return statistics.median(run.per_second for run in _of(runs, strategy, callers))


def _failures(runs: Sequence[Run]) -> Iterator[tuple[str, int]]:
    for name in [*STRATEGIES, QUEUED]:
        if failed := sum(run.failed for run in runs if run.strategy == name):
            yield name, failed


def say(text: str) -> None:
    print(f"strategies: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
