"""What every test may lean on."""

import gc
from collections.abc import Generator, Iterator
from functools import cache
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

pytest_plugins = ["payments.tests.providers", "payments.tests.refunder"]

# These run the whole shop, a dozen processes. What a person sees in time is in the first group; the others
# mostly wait, and may run beside it.
WHOLE = ("tests/browser/", "tests/faults/test_soak.py", "tests/faults/test_two_cardshops.py")
BESIDE = ("tests/gateway/",)
# What is left for the one that ends first, lest it wait for the other.
LAST = (
    "tests/faults/test_rabbitmq.py",
    "tests/embedded/",
    "tests/test_channels_live.py",
    "tests/race/test_endings.py",
)
# Django writes these when it migrates; no test does.
WRITTEN_BY_MIGRATING = {"auth_permission", "django_content_type"}


class ByFile(LoadFileScheduling):
    """Each file to one process; all that want the whole shop to one of them, what may run beside to one."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(BESIDE):
            return "beside the whole shop"
        return "the whole shop" if nodeid.startswith(WHOLE) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    config.option.loadscopereorder = False  # what comes last shall be last
    return ByFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs the whole shop comes when nearly everything else is done, the longer part first."""
    items.sort(key=lambda item: [item.nodeid.startswith(some) for some in (LAST, BESIDE, WHOLE)])


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """A quarter of a million objects are there by its end and stay: looking through them finds no garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(5000, 20, 20)
        gc.enable()


@cache
def _emptying() -> str:
    from django.db import connection

    tables = {*connection.introspection.django_table_names()} - WRITTEN_BY_MIGRATING
    deletions = [f"DELETE FROM {connection.ops.quote_name(table)}" for table in sorted(tables)]
    # Accesses to keys, and the audit log, are deleted by nobody else.
    return "; ".join(["SET LOCAL cardshop.pruning = 'on'", *deletions])


def _delete_all_rows(_test: object) -> None:
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_emptying())


@pytest.fixture(scope="session", autouse=True)
def _quickly_emptied() -> None:
    """After a test with transactions of its own, its few rows are deleted.

    Django would truncate forty tables, which makes some two hundred files anew, and then look whether each
    permission is there: forty times as long, after every other test.
    """
    from django.test import TransactionTestCase

    TransactionTestCase._fixture_teardown = _delete_all_rows  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _quiet_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wake-ups are a courtesy: unless a test runs a real worker, nobody is there to be woken."""
    monkeypatch.setattr("cardshop.celery.app.send_task", lambda *args, **kwargs: None)


@pytest.fixture(scope="session", autouse=True)
def _closed_breakers() -> None:
    """Of the last session: the channels of this one have the same numbers."""
    from cardshop.traffic.breakers import _connect

    for key in _connect().scan_iter("breaker:*"):
        _connect().delete(key)


@pytest.fixture
def pages_kept(settings: Any) -> Iterator[None]:
    """Pages are kept as in a real shop; to begin with, nothing is."""
    from cardshop.traffic import display_cache
    from orders import views

    def forget_all() -> None:
        display_cache.shown._at_hand._slots.clear()
        views._offers._slots.clear()
        for key in display_cache._connect().scan_iter("shown:*"):
            display_cache._connect().delete(key)

    settings.DISPLAY_SECONDS = 1.0
    forget_all()
    yield
    forget_all()


@pytest.fixture
def line() -> Iterator[None]:
    """An empty Redis: gates of other tests would be taken for those of this one's variants."""
    from orders.admission.directory import forget_listings
    from orders.admission.gate import connect

    connect().flushdb()
    forget_listings()
    yield
    connect().flushdb()
