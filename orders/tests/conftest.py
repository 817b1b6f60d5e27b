import pytest

from orders.tests.mail_server import MailServer


@pytest.fixture
def server(settings, monkeypatch):
    settings.EMAIL_BACKEND = "orders.tests.mail_server.MailServer"
    monkeypatch.setattr(MailServer, "opened", 0)
    monkeypatch.setattr(MailServer, "says", {})
    return MailServer
