import pytest

from cardshop.alerts.tests.services import Services


@pytest.fixture(scope="session")
def _services():
    running = Services()
    yield running
    running.close()


@pytest.fixture
def services(_services, settings):
    """On this machine, so that addresses of it have to be allowed."""
    settings.ALERTS_PRIVATE_ADDRESSES = True
    _services.heard.clear()
    _services.mood = ""
    return _services
