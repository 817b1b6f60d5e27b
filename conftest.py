"""What every test may lean on."""

import pytest

from cardshop.operations.translations import compile_translations

pytest_plugins = ["payments.tests.providers"]


def pytest_configure(config: pytest.Config) -> None:
    compile_translations()


@pytest.fixture(autouse=True)
def _quiet_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wake-ups are a courtesy: unless a test runs a real worker, nobody is there to be woken."""
    monkeypatch.setattr("cardshop.celery.app.send_task", lambda *args, **kwargs: None)
