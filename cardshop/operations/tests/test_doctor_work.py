"""What `doctor` says of work, money, disks, mails and the world outside, each broken for real."""

import json
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from django.core import mail
from django.core.management import call_command
from django.utils import translation

from cardshop.common.clock import db_now
from cardshop.operations.backup import MANIFEST, name_of
from cardshop.operations.doctor import files, outside
from cardshop.operations.doctor.findings import Finding, Level
from cardshop.operations.management.commands import doctor
from cardshop.operations.tests.doctor import OTHER_KEK, diagnosed, level_of, sentence, told
from cardshop.outbox.models import OutboxMessage
from orders.services.transitions import ask_for_attention
from payments.models import PaymentAttempt
from tests.factories import make_attempt, make_channel, make_order, make_variant, pay_order
from tests.stack import free_ports

pytestmark = pytest.mark.django_db(transaction=True)


# What is to be done


def test_the_outbox():
    order = make_order(make_variant(keys=1))
    pay_order(order)
    assert level_of("outbox") == Level.OK

    OutboxMessage.objects.update(created_at=db_now() - timedelta(seconds=1000))
    assert level_of("outbox") == Level.PROBLEM
    assert "orders.deliver (1000" in sentence("outbox")

    OutboxMessage.objects.filter(task="orders.deliver").update(attention="failed 20 times")
    assert "given up: orders.deliver (1)" in told("outbox")[0].said


def test_what_waits_for_a_person():
    order = make_order(make_variant(keys=1))
    assert level_of("attention") == Level.OK

    ask_for_attention(order, "a test", now=db_now())

    assert sentence("attention") == "These wait for a person: orders (1)."


def test_ways_to_pay(settings):
    assert sentence("channels") == "No open shop has a way to be paid."
    channel = make_channel()
    assert sentence("channels") == "demo/alipay is complete; nothing was paid through it yet."
    variant = make_variant(keys=1)
    pay_order(make_order(variant))
    assert sentence("channels") == "demo/alipay took money 0 hours ago."

    channel.merchant_id = ""
    channel.save()
    assert sentence("channels") == "The way to pay demo/alipay lacks merchant_id."

    settings.CARD_KEY_KEK = OTHER_KEK
    assert sentence("channels") == "The credentials of demo/alipay do not open."


def test_a_way_to_pay_that_nobody_ever_gets_through():
    order = make_order(make_variant(keys=1))
    make_channel()
    for _ in range(10):
        make_attempt(order)

    assert "10 payments were begun" in sentence("channels")

    PaymentAttempt.objects.update(started_at=db_now() - timedelta(days=3))
    assert level_of("channels") == Level.OK


# Disks


@pytest.fixture
def collected(settings, tmp_path, monkeypatch):
    """A shop with one static file, collected under hashed names."""
    from django.contrib.staticfiles import storage

    source = tmp_path / "source"
    source.mkdir()
    (source / "shop.css").write_text("body { color: black }")
    settings.STATICFILES_DIRS = [source]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATIC_ROOT = str(tmp_path / "static")
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "cardshop.common.static_files.UncompressedFiles"},
    }
    monkeypatch.setattr(files, "staticfiles_storage", storage.ConfiguredStorage())
    return source


def test_static_files(collected):
    assert sentence("static-files") == "Static files are not collected: pages have no style."

    call_command("collectstatic", verbosity=0, interactive=False)
    assert level_of("static-files") == Level.OK

    (collected / "shop.css").write_text("body { color: white }")
    assert "of another version than the shop, such as shop.css" in sentence("static-files")


def test_pictures(settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path)
    assert level_of("pictures") == Level.OK

    settings.MEDIA_ROOT = str(tmp_path / "gone")

    assert "gone: No such file or directory" in sentence("pictures")


def test_a_disk_that_fills_up(settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = str(tmp_path)
    monkeypatch.setattr(files, "PLENTY", 0)
    assert level_of("disks") == Level.OK

    monkeypatch.setattr(files, "PLENTY", 2**60)
    monkeypatch.setattr(files, "LITTLE", 1.1)

    assert told("disks")[0].said.startswith("The disk of CARDSHOP_VAR has")


@pytest.mark.parametrize(
    ("hours", "level"), [(1, Level.OK), (30, Level.WARNING), (80, Level.PROBLEM), (None, Level.PROBLEM)]
)
def test_backups(settings, tmp_path, hours, level):
    settings.BACKUP_ROOT = str(tmp_path)
    if hours is not None:
        folder = tmp_path / name_of(db_now() - timedelta(hours=hours))
        folder.mkdir()
        (folder / MANIFEST).touch()

    assert level_of("backups") == level


def test_without_backups(settings):
    settings.BACKUP_ROOT = ""

    assert sentence("backups") == "No backups are known of."


# Outside


def test_the_mail_server(settings):
    settings.EMAIL_BACKEND = outside.SMTP
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_ports(1)[0]

    code, printed = diagnosed("--json", "--language", "en")

    (said,) = [check for check in json.loads(printed)["checks"] if check["name"] == "mail"]
    assert (code, said["level"]) == (2, "problem")
    assert said["said"] == "The mail server cannot be spoken to: ConnectionRefusedError."


def test_a_test_mail(monkeypatch):
    monkeypatch.setattr(doctor, "LOOKS", [])

    assert diagnosed("--send-to", "lin@example.org", "--language", "en")[0] == 0

    assert [message.to for message in mail.outbox] == [["lin@example.org"]]


def test_books(monkeypatch):
    monkeypatch.setattr(doctor, "LOOKS", [])
    variant = make_variant(keys=1)
    assert diagnosed("--books")[0] == 0

    variant.stocks.update(total=5)

    code, printed = diagnosed("--books", "--language", "en")
    assert code == 2
    assert "The books are not right: inventory.total_counts_keys." in printed


class Page:
    """What stands in front of a shop: it answers every request so."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value.format(port=self.server.server_port))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __enter__(self) -> str:
        return self.url

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


PROTECTED = {
    "Strict-Transport-Security": "max-age=31536000",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def looked_at(url: str) -> list[Finding]:
    with translation.override("en"):
        return list(outside.look_at_page(url))


@pytest.mark.parametrize(
    ("status", "headers", "level", "words"),
    [
        (200, PROTECTED, Level.OK, "answers by HTTPS"),
        (200, {**PROTECTED, "Strict-Transport-Security": ""}, Level.WARNING, "Strict-Transport-Security"),
        (301, {"Location": "http://127.0.0.1:{port}/"}, Level.PROBLEM, "round in a circle"),
        (502, {}, Level.PROBLEM, "answers 502"),
    ],
)
def test_the_shop_from_outside(status, headers, level, words):
    with Page(status, headers) as url:
        (finding,) = looked_at(url)

    assert finding.level == level
    assert words in finding.said


def test_a_shop_that_cannot_be_reached_from_here():
    (finding,) = looked_at(f"http://127.0.0.1:{free_ports(1)[0]}/")

    assert finding.level == Level.WARNING
    assert "cannot be reached" in finding.said
