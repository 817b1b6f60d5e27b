"""Keys imported per second, beside a COPY of the same ciphertext into the same table; and peak memory."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from typing import BinaryIO

from django.db import connection, connections

import benchmarks.ready  # noqa: F401  models come after it
from benchmarks.results import Bar, save
from benchmarks.strategies.stage import checkpoint, open_shop, stocked_variant
from cardshop.common.clock import db_now
from inventory.imports.running import Terms, accept, import_for_a_while
from inventory.imports.spool import SpoolWriter
from inventory.models import KeyBatch, KeyUpload, Variant

COLUMNS = "shop_id, variant_id, batch_id, expires_on, status, is_reusable, uid, sealed, fingerprint"
QUARTER = 0.25
SAME = 1.1
_PIECE = 2000  # lines that are sent at once

Act = Callable[[Variant, int], None]


@dataclass(frozen=True)
class Run:
    """Times in seconds, memory in megabytes: the highest that the process ever had in use."""

    keys: int
    upload_s: float
    upload_mb: float
    import_s: float
    import_mb: float
    copy_s: float

    @property
    def ratio(self) -> float:
        return self.copy_s / self.import_s


def main() -> int:
    options = _options()
    variant = stocked_variant(open_shop(), "bench-imports")
    runs = []
    for keys in options.keys:
        run = _run(variant, keys)
        runs.append(run)
        print(
            f"{keys:>9,} keys: sealed in {run.upload_s:.1f} s and {run.upload_mb:.0f} MB, imported at"
            f" {keys / run.import_s:,.0f}/s in {run.import_mb:.0f} MB; COPY {keys / run.copy_s:,.0f}/s",
            flush=True,
        )
    return _tell(runs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.imports", description=__doc__)
    parser.add_argument("--keys", type=int, nargs="+", default=[100_000, 1_000_000])
    return parser.parse_args()


def _run(variant: Variant, keys: int) -> Run:
    _empty_table()
    upload_s, upload_mb = _in_a_process(_upload, variant.pk, keys)
    checkpoint()
    import_s, import_mb = _in_a_process(_import, variant.pk, keys)
    with tempfile.TemporaryFile() as ready_made:
        _copy_out(ready_made)
        _empty_table()
        checkpoint()
        return Run(keys, upload_s, upload_mb, import_s, import_mb, _copy_in(ready_made, keys))


def _in_a_process(act: Act, variant_id: int, keys: int) -> tuple[float, float]:
    """Seconds that `act` takes, and the most megabytes of the process that was started for it alone."""
    connections.close_all()
    with get_context("spawn").Pool(1) as pool:
        took: tuple[float, float] = pool.apply(_measured, (act, variant_id, keys))
        return took


def _measured(act: Act, variant_id: int, keys: int) -> tuple[float, float]:
    variant = Variant.objects.select_related("shop").get(pk=variant_id)
    began = time.monotonic()
    act(variant, keys)
    return time.monotonic() - began, _peak()


def _upload(variant: Variant, keys: int) -> None:
    """As the web process does with what a browser sends."""
    writer = SpoolWriter(now=db_now())
    for piece in _pieces(keys):
        writer.write(piece)
    accept(writer.close(), Terms(variant=variant, imported_by="bench"), now=db_now())


def _import(variant: Variant, keys: int) -> None:
    """As the worker does, without its pauses for others."""
    batch = KeyBatch.objects.get(variant=variant, state="queued")
    while not import_for_a_while(batch.pk):
        pass
    batch.refresh_from_db()
    if (batch.state, batch.imported) != ("done", keys):
        raise RuntimeError(f"{batch.state}, {batch.imported} of {keys}")


def _pieces(keys: int) -> Iterator[bytes]:
    for begin in range(0, keys, _PIECE):
        numbers = range(begin, min(begin + _PIECE, keys))
        yield b"".join(b"KEY-%08d-%08X\n" % (number, number * 2654435761 % 2**32) for number in numbers)


def _peak() -> float:
    """Of this process since its own program began, which `ru_maxrss` is not."""
    with open("/proc/self/status") as status:
        (line,) = [line for line in status if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def _empty_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("TRUNCATE inventory_cardkey CASCADE")
    KeyUpload.objects.all().delete()


def _copy_out(file: BinaryIO) -> None:
    with connection.cursor() as cursor:
        cursor.copy_expert(
            f"COPY (SELECT {COLUMNS} FROM inventory_cardkey ORDER BY id) TO STDOUT",  # noqa: S608
            file,
        )
    file.seek(0)


def _copy_in(file: BinaryIO, keys: int) -> float:
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY inventory_cardkey ({COLUMNS}) FROM STDIN", file)
        copied = cursor.rowcount
    took = time.monotonic() - began
    if copied != keys:
        raise RuntimeError(f"{copied} of {keys} copied")
    return took


def _tell(runs: Sequence[Run]) -> int:
    bars = [
        Bar(f"{run.keys:,} keys: import ÷ COPY {run.ratio:.2f} (bar {QUARTER})", run.ratio >= QUARTER)
        for run in runs
    ]
    first, last = runs[0], runs[-1]
    for what in ("import_mb", "upload_mb"):
        more = getattr(last, what) / getattr(first, what)
        bars.append(Bar(f"{what}: {last.keys:,} ÷ {first.keys:,} keys {more:.2f} (bar {SAME})", more <= SAME))
    print(*bars, sep="\n")
    rows = [{**asdict(run), "ratio": run.ratio} for run in runs]
    save("imports", {"runs": rows, "bars": [str(bar) for bar in bars]}, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
