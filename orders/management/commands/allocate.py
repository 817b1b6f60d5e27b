import signal
import time
from threading import Event, Thread
from typing import Any

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from cardshop.common.clock import db_now
from cardshop.common.tracing import start_tracing
from cardshop.outbox.heartbeats import show_life
from orders.admission.allocator import Allocator
from orders.admission.gate import forgets
from orders.admission.sales import ensure_sales, sales_to_serve
from orders.models import Sale

LOOK_FOR_SALES = 1.0  # seconds
PATIENCE = 5.0


class Command(BaseCommand):
    help = "Serve the lines of variants that are sold through one; --isolated: of the isolated ones only."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--isolated", action="store_true", help="serve the isolated variants, and no others"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_forgetful_redis()
        start_tracing("allocator")
        stop = Event()
        name = "allocate_isolated" if options["isolated"] else "allocate"
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        serving: dict[int, tuple[Thread, Event]] = {}
        show_life_at = 0.0
        while not stop.is_set():
            try:
                attend(serving, sales(isolated=options["isolated"]))
                if time.monotonic() >= show_life_at:
                    show_life(name, now=db_now())
                    show_life_at = time.monotonic() + settings.SIGN_OF_LIFE_SECONDS
            except (DatabaseError, redis.RedisError):
                connection.close()  # nothing is known, so nothing changes
            stop.wait(LOOK_FOR_SALES)
        end(serving)


def attend(serving: dict[int, tuple[Thread, Event]], due: list[Sale]) -> None:
    """Serve exactly these sales from now on."""
    for sale in due:
        if sale.pk not in serving:
            serving[sale.pk] = serve(sale)
    for pk in serving.keys() - {sale.pk for sale in due}:
        serving.pop(pk)[1].set()


def sales(*, isolated: bool) -> list[Sale]:
    ensure_sales()
    return sales_to_serve(isolated=isolated)


def serve(sale: Sale) -> tuple[Thread, Event]:
    """A thread of its own for each variant: one line that is slow keeps no other waiting."""
    stop = Event()
    thread = Thread(target=Allocator(sale, stop).run, name=f"line-{sale.variant_id}", daemon=True)
    thread.start()
    return thread, stop


def end(serving: dict[int, tuple[Thread, Event]]) -> None:
    """Let every line finish its batch and give up its lease."""
    for _thread, stop in serving.values():
        stop.set()
    until = time.monotonic() + PATIENCE
    for thread, _stop in serving.values():
        thread.join(max(0.0, until - time.monotonic()))


def refuse_forgetful_redis() -> None:
    """A Redis that evicts would forget people in line. Raises CommandError; one that is away may come."""
    try:
        memory = redis.Redis.from_url(settings.ADMISSION_REDIS_URL, socket_timeout=2).info("memory")
    except redis.RedisError:
        return
    if policy := forgets(memory):
        raise CommandError(
            f"ADMISSION_REDIS_URL names a Redis that evicts ({policy}): it would forget people in line. "
            "Set maxmemory-policy noeviction there, or name another server."
        )
