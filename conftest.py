"""What every test may lean on."""

import pytest

pytest_plugins = ["payments.tests.providers"]


@pytest.fixture(autouse=True)
def _quiet_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wake-ups are a courtesy: unless a test runs a real worker, nobody is there to be woken."""
    monkeypatch.setattr("cardshop.celery.app.send_task", lambda *args, **kwargs: None)
