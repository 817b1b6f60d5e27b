"""What every test may lean on."""

from collections.abc import Iterator

import pytest

pytest_plugins = ["payments.tests.providers", "payments.tests.refunder"]


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
def line() -> Iterator[None]:
    """An empty Redis: gates of other tests would be taken for those of this one's variants."""
    from orders.admission.directory import forget_listings
    from orders.admission.gate import connect

    connect().flushdb()
    forget_listings()
    yield
    connect().flushdb()
