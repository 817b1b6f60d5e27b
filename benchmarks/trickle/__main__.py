"""python -m benchmarks.trickle [--minutes 1]: exit code 1 if somebody did not get their key, or the books are
wrong. Slowness fails nothing: machines differ.
"""

import argparse
import asyncio
import json
import secrets
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.results import Bar
from benchmarks.soak.judge import verify
from benchmarks.soak.stack import Stack
from benchmarks.storm.results import percentile
from benchmarks.trickle.crowd import (
    BOUGHT,
    GOODS,
    PAGE,
    PRESSED,
    RATES,
    TRICKLING,
    TRICKLING_METHOD,
    TURNED_AWAY,
    Crowd,
    Records,
)
from benchmarks.trickle.provider import TricklingProvider
from tests.stack import REPOSITORY, RunningShop

PLACE = REPOSITORY / "var" / "trickle"
ENVIRONMENT = {"DJANGO_SETTINGS_MODULE": "benchmarks.trickle.settings", "TRUSTED_PROXIES": "127.0.0.0/8"}
# Seconds. When the counting begins, the first holds have ended, so that there is as much to do as later.
WARM_UP, LONGEST_BESIDE = 60.0, 120.0
WITHIN = 1.5  # times of what it was before
POINTS = {"p50": 50.0, "p95": 95.0}
ENDED_LATE = "hold ended late by"
SETTLING = 150.0  # seconds for the last holds to end


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.trickle", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="that the provider trickles")
    options = parser.parse_args()
    shutil.rmtree(PLACE, ignore_errors=True)
    return asyncio.run(measure(60 * options.minutes))


async def measure(seconds: float) -> int:
    beside = min(seconds, LONGEST_BESIDE)
    async with TricklingProvider() as provider:
        with RunningShop(PLACE / "shop", environment=ENVIRONMENT) as shop:
            stack = Stack(shop)
            orders = (WARM_UP + 2 * beside + seconds) * (RATES["buy"] + RATES["leave"] + RATES["try"])
            await asyncio.to_thread(furnish, shop, provider.port, keys=int(orders) + 100)
            say(f"{beside:.0f} s with a sound provider, {seconds:.0f} s of a trickle, and sound again")
            crowd = Crowd(shop.url)
            await crowd.come(WARM_UP)
            phases, turns = {}, {}
            for phase, lasting in (("before", beside), ("during", seconds), ("after", beside)):
                provider.trickles = phase == "during"
                turns[phase] = (await asyncio.to_thread(stack.query, "SELECT clock_timestamp()"))[0][0]
                phases[phase] = await crowd.come(lasting)
            await crowd.close()
            late = await asyncio.to_thread(ended_late, stack, turns)
            found = await asyncio.to_thread(settle, stack)
    return report(phases, provider, late, found)


def furnish(shop: RunningShop, port: int, *, keys: int) -> None:
    made = shop.manage("shell", text=_GOODS.format(port=port))
    if made.returncode or "Traceback" in made.stderr:
        raise RuntimeError(f"the goods could not be made:\n{made.stderr[-2000:]}")
    lines = [f"TRICKLE-{secrets.token_hex(10).upper()}" for _ in range(keys)]
    imported = shop.manage("import_keys", GOODS, "-", text="\n".join(lines))
    say(imported.stdout.strip() or imported.stderr.strip())


_GOODS = f"""
from cardshop.shops.models import Shop
from inventory.models import Product, Stock, Variant
from payments.models import PaymentChannel
# Everybody pays through one provider, whose pages these buyers know.
PaymentChannel.objects.filter(method="alipay").exclude(slug="alipay").update(is_enabled=False)
shop = Shop.objects.get(slug="demo")
product = Product.objects.create(shop=shop, slug="{GOODS}", name="{GOODS}", is_listed=True)
variant = Variant.objects.create(shop=shop, product=product, code="{GOODS}", name="One", price_minor=100)
Stock.objects.create(shop=shop, variant=variant)
channel = PaymentChannel(
    shop=shop, slug="{TRICKLING}", name="Trickle", driver="epay_v1", method="{TRICKLING_METHOD}",
    merchant_id="1", base_url="http://127.0.0.1:{{port}}/", position=99)
channel.seal_secret("never-checked-by-it")
channel.save()
"""


def ended_late(stack: Stack, turns: Mapping[str, object]) -> dict[str, list[float]]:
    """Seconds from the end of its hold to the end of an order that nobody tried to pay there, by phase."""
    found = stack.query(_ENDS, slug=TRICKLING, **turns)
    return {phase: [float(late) for then, late in found if then == phase] for phase in turns}


_ENDS = """
    SELECT CASE WHEN "order".reserved_until > %(after)s THEN 'after'
                WHEN "order".reserved_until > %(during)s THEN 'during'
                WHEN "order".reserved_until > %(before)s THEN 'before' END,
           extract(epoch FROM event.at - "order".reserved_until)
    FROM orders_order AS "order" JOIN orders_orderevent AS event ON event.order_id = "order".id
    WHERE event.after = 'expired' AND NOT EXISTS (
        SELECT 1 FROM payments_paymentattempt AS attempt
        JOIN payments_payment AS payment ON payment.id = attempt.payment_id
        JOIN payments_paymentchannel AS channel ON channel.id = attempt.channel_id
        WHERE payment.order_id = "order".id AND channel.slug = %(slug)s)"""


def settle(stack: Stack) -> list[str]:
    """What `verify --settled` finds once the last hold has ended, or should have."""
    deadline = time.monotonic() + SETTLING
    while time.monotonic() < deadline and stack.query(_OPEN)[0][0]:
        time.sleep(1)
    found = verify(stack)
    while found and time.monotonic() < deadline:
        time.sleep(2)
        found = verify(stack)
    return found


_OPEN = """
    SELECT (SELECT count(*) FROM orders_order WHERE status IN ('pending', 'closing', 'paid'))
         + (SELECT count(*) FROM outbox_outboxmessage WHERE done_at IS NULL AND attention = '')"""


def report(
    phases: Mapping[str, Records],
    provider: TricklingProvider,
    late: Mapping[str, list[float]],
    found: list[str],
) -> int:
    figures: dict[str, Any] = {}
    head = [f"{point} {column}" for point in POINTS for column in (*phases, "ratio")]
    print(f"\n  {'seconds':<42}" + "".join(f"{name:>12}" for name in head))
    for what in (PAGE, PRESSED, BOUGHT, TURNED_AWAY):
        figures[what] = _row(what, {phase: records.seconds[what] for phase, records in phases.items()})
    figures[ENDED_LATE] = _row(ENDED_LATE, late)
    answers = ", ".join(f"{phase} {dict(records.answers)}" for phase, records in phases.items())
    print(
        f"\n  {'answers there':<28}{answers}"
        f"\n  {'calls it kept waiting':<28}{provider.calls}, at most {provider.most_held} at one moment\n"
    )
    bars = [
        Bar(f"{what}: {name} within {WITHIN} of before ({ratio:.2f})", ratio <= WITHIN)
        for what in (PAGE, PRESSED, BOUGHT)
        for name, ratio in figures[what]["ratio"].items()
    ]
    wrong = sum((records.wrong for records in phases.values()), Counter[str]())
    received = [key for records in phases.values() for key in records.keys]
    bought = sum(records.bought for records in phases.values())
    sound = {
        f"every buyer elsewhere has a key ({len(received)})": not wrong and len(set(received)) == bought,
        "verify --settled is clean": not found,
    }
    for bar in [*bars, *(Bar(claim, holds) for claim, holds in sound.items())]:
        say(str(bar))
    for line in [*(f"{times} × {what}" for what, times in wrong.items()), *found[:12]]:
        say(f"  {line}")
    saved = {"figures": figures, "calls": provider.calls, "most_held": provider.most_held, "rates": RATES}
    _save(PLACE / "results.json", saved)
    return 0 if all(sound.values()) else 1


def _row(what: str, phases: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    """Prints one line; `ratio` is during ÷ before. Over what comes after, one sees what was only growth."""
    figures = {
        phase: {point: percentile(values, percent) for point, percent in POINTS.items()}
        for phase, values in phases.items()
    }
    figures["ratio"] = {point: figures["during"][point] / figures["before"][point] for point in POINTS}
    cells = [f"{figures[column][point]:>12.3f}" for point in POINTS for column in figures]
    counts = ", ".join(str(len(values)) for values in phases.values())
    print(f"  {f'{what} ({counts})':<42}" + "".join(cells))
    return figures


def _save(path: Path, figures: dict[str, Any]) -> None:
    path.write_text(json.dumps(figures, indent=1))
    say(f"saved in {path.relative_to(REPOSITORY)}")


def say(text: str) -> None:
    print(f"trickle: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
