"""Backup and restore: the shop as it was, and what has happened since is asked for or forgotten."""

import json
import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import psycopg2
import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection

from cardshop.common.clock import db_now
from cardshop.operations.backup import DATABASE, MANIFEST, CannotBackUp, backups_in, clients, restoring
from cardshop.operations.backup.restoring import restore
from cardshop.operations.backup.writing import LEFT_OUT, back_up
from cardshop.operations.verify import verify
from cardshop.outbox.models import OutboxMessage
from cardshop.shops.models import Shop
from inventory.models import Variant
from orders.admission.gate import Gate
from orders.admission.joining import standing_of
from orders.errors import UnknownTicket
from orders.models import Order, Sale
from orders.selectors import revealed_keys
from orders.services.delivery import deliver_orders
from orders.tasks import deliver
from payments.models import PaymentAttempt, PaymentChannel, Receipt, Statement
from payments.services.attempts import start_attempt
from payments.services.evidence import UNKNOWN
from payments.services.reconciling import DAYS_BACK, read_due_statements
from payments.tasks import settle_receipts
from tests.factories import (
    make_attempt,
    make_channel,
    make_order,
    make_variant,
    paid_evidence,
    settle_evidence,
    stock_up,
)
from tests.lines import click, make_sale, open_line, settle_all

pytestmark = pytest.mark.django_db(transaction=True)


def say_nothing(said: str) -> None:
    pass


@pytest.fixture
def move(transactional_db, settings, tmp_path) -> Iterator[Callable[[], str]]:
    """Once it is called the shop's database is another one, and empty; returns a new folder for pictures."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    here = connection.settings_dict["NAME"]
    there = f"{here}_restored"

    def drop() -> None:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{there}" WITH (FORCE)')

    def be_in(name: str) -> None:
        connection.close()
        connection.settings_dict["NAME"] = name

    def go() -> str:
        be_in(here)
        drop()
        with connection.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{there}"')
        be_in(there)
        return str(tmp_path / "new" / "media")

    yield go
    be_in(here)
    drop()


def order_paid_at(provider, variant: Variant) -> Order:
    """The buyer has paid, and the shop has heard of it."""
    order = make_order(variant)
    channel = PaymentChannel.objects.get()
    attempt = start_attempt(order, channel, return_url="/", client_ip="203.0.113.9", now=db_now())
    provider.knows(attempt)
    settle_evidence(channel, paid_evidence(attempt, txn=provider.trades[attempt.out_trade_no][0]))
    return order


def keys_of(order: Order) -> list[str]:
    return [key for _item, keys in revealed_keys(order) for key in keys]


def broken() -> dict[str, list[str]]:
    return {result.name: result.findings for result in verify(settled=True) if result.findings}


@pytest.mark.usefixtures("line")
def test_the_shop_is_lost_and_goes_on_from_its_backup(provider, move, settings, tmp_path):
    make_channel()
    variant = make_variant(code="coins")
    keys = stock_up(variant, 5)
    delivered, promised = order_paid_at(provider, variant), order_paid_at(provider, variant)
    deliver_orders([delivered.pk], db_now())
    SessionStore().save()
    picture = Path(settings.MEDIA_ROOT, "products", "coins.png")
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"a picture")

    backup = back_up(tmp_path / "backups", now=db_now())
    lost = order_paid_at(provider, variant)
    settings.MEDIA_ROOT = move()
    restore(backup, tell=say_nothing)

    assert Path(settings.MEDIA_ROOT, "products", "coins.png").read_bytes() == b"a picture"
    assert not Session.objects.exists()
    assert not Order.objects.filter(pk=lost.pk).exists()
    assert keys_of(Order.objects.get(pk=delivered.pk)) == [keys[0]]
    assert not Shop.objects.filter(is_open=True).exists()
    # The provider still tells of the lost order's money, and it is put before a person.
    assert broken().keys() == {"payments.ledgers_agree", "outbox.drains", "orders.paid_orders_get_their_keys"}
    read_due_statements(clock=lambda: db_now() + timedelta(days=2))
    OutboxMessage.objects.filter(done_at=None).update(due_at=db_now())  # the two days are over
    settle_receipts()
    deliver()
    OutboxMessage.objects.filter(task="orders.mail_delivery").update(done_at=db_now())
    assert Receipt.objects.filter(attention=UNKNOWN).count() == 1
    assert broken() == {}
    assert keys_of(Order.objects.get(pk=promised.pk)) == [keys[1]]
    # And the sale goes on.
    Shop.objects.update(is_open=True)
    another = order_paid_at(provider, Variant.objects.get(pk=variant.pk))
    deliver()
    assert keys_of(another) == [keys[2]]


def line_that_is_lost(move, tmp_path, settings, **how: bool) -> tuple[Sale, str]:
    """The ticket of a click that came, and was settled, after the backup that was restored."""
    sale = make_sale(keys=2)
    allocator = open_line(sale)
    click(sale.variant)
    settle_all(allocator)
    backup = back_up(tmp_path / "backups", now=db_now())
    lost = click(sale.variant)
    settle_all(allocator)
    assert standing_of(sale.variant, lost).status == "held"
    settings.MEDIA_ROOT = move()
    restore(backup, tell=say_nothing, **how)
    return Sale.objects.get(pk=sale.pk), lost


@pytest.mark.usefixtures("line")
def test_a_line_forgets_with_the_books(move, settings, tmp_path):
    sale, lost = line_that_is_lost(move, tmp_path, settings, nothing_since=True)

    settle_all(open_line(sale))

    with pytest.raises(UnknownTicket):
        standing_of(sale.variant, lost)
    ticket_id = click(sale.variant)  # the unit that the lost one had is free
    settle_all(open_line(sale))
    assert standing_of(sale.variant, ticket_id).status == "held"
    assert Order.objects.filter(ticket_id=ticket_id).exists()


@pytest.mark.usefixtures("line")
def test_control_a_line_that_remembers_sends_buyers_to_orders_that_are_not_there(
    move, settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(restoring, "forget_redis", lambda: None)

    sale, lost = line_that_is_lost(move, tmp_path, settings, nothing_since=True)

    settle_all(open_line(sale))
    standing = standing_of(sale.variant, lost)
    assert standing.status == "held"
    assert not Order.objects.filter(token=standing.order_token).exists()


@pytest.mark.usefixtures("line")
def test_a_redis_that_comes_back_with_its_old_gates_is_refused(move, settings, tmp_path, monkeypatch):
    """It was empty when the backup was restored, and found its file afterwards."""
    monkeypatch.setattr(restoring, "forget_redis", lambda: None)
    sale, _lost = line_that_is_lost(move, tmp_path, settings, nothing_since=True)

    assert sale.epoch > restoring.EPOCHS_AHEAD > int(Gate(sale.variant_id).numbers()["epoch"])
    settle_all(open_line(sale))
    assert int(Gate(sale.variant_id).numbers()["epoch"]) > restoring.EPOCHS_AHEAD


def test_every_day_since_the_backup_will_be_compared(move, settings, tmp_path):
    make_attempt(make_order(make_variant(keys=1)))
    made = db_now() - timedelta(days=DAYS_BACK + 5)
    PaymentAttempt.objects.update(started_at=made - timedelta(days=1))
    backup = back_up(tmp_path, now=made)
    settings.MEDIA_ROOT = move()

    restore(backup, tell=say_nothing)

    days = {statement.day for statement in Statement.objects.all()}
    assert min(days) <= made.date()
    assert len(days) >= DAYS_BACK + 5


@pytest.mark.usefixtures("line")
def test_a_database_restored_by_other_means_goes_on_in_the_same_way():
    sale = make_sale(keys=1)
    settle_all(open_line(sale))

    with pytest.raises(CommandError, match="no moment with a time zone"):
        call_command("after_restore", "2026-03-01")
    call_command("after_restore", "2026-03-01T04:15:00+08:00")

    sale.refresh_from_db()
    assert sale.epoch > restoring.EPOCHS_AHEAD
    assert Gate(sale.variant_id).numbers() == {}
    assert not Shop.objects.filter(is_open=True).exists()


@pytest.fixture
def backup(move, settings, tmp_path) -> Path:
    """Of a shop with a key; afterwards the database is another one, and empty."""
    make_variant(keys=1)
    folder = back_up(tmp_path / "backups", now=db_now())
    settings.MEDIA_ROOT = move()
    return folder


def tables() -> int:
    return len(connection.introspection.table_names())


def test_only_an_empty_database_is_restored_into(tmp_path, settings):
    settings.MEDIA_ROOT = str(tmp_path / "media")
    make_variant(keys=1)
    folder = back_up(tmp_path / "backups", now=db_now())

    with pytest.raises(CannotBackUp, match="into an empty one only"):
        restore(folder, tell=say_nothing)

    assert Variant.objects.count() == 1


def test_only_a_shop_that_is_stopped_is_restored(backup):
    with (
        closing(psycopg2.connect(**connection.get_connection_params())),
        pytest.raises(CannotBackUp, match="others are connected"),
    ):
        restore(backup, tell=say_nothing)

    assert tables() == 0


def test_what_is_damaged_is_not_restored(backup):
    dump = backup / DATABASE
    dump.write_bytes(dump.read_bytes()[:-1] + b"x")

    with pytest.raises(CannotBackUp, match="damaged"):
        restore(backup, tell=say_nothing)

    assert tables() == 0


def changed(backup: Path, **values: object) -> None:
    manifest = json.loads((backup / MANIFEST).read_text())
    (backup / MANIFEST).write_text(json.dumps({**manifest, **values}))


def test_a_newer_version_s_backup_is_not_restored(backup):
    changed(backup, migrations=["orders.0999_of_tomorrow"])

    with pytest.raises(CannotBackUp, match=r"does not know orders\.0999"):
        restore(backup, tell=say_nothing)


def test_another_secret_key_has_to_be_accepted(backup, settings):
    settings.SECRET_KEY = "another-secret-key-another-secret-key-another-secret-key"
    with pytest.raises(CannotBackUp, match="SECRET_KEY is not the one"):
        restore(backup, tell=say_nothing)
    assert tables() == 0

    restore(backup, another_secret_key=True, tell=say_nothing)

    assert tables() > 0


def test_without_redis_nothing_is_restored(backup, settings):
    settings.ADMISSION_REDIS_URL = "redis://127.0.0.1:1/0"

    with pytest.raises(CannotBackUp, match="Redis does not answer"):
        restore(backup, tell=say_nothing)

    assert tables() == 0


def test_a_backup_holds_no_secret_and_is_its_owner_s_alone(settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path / "media")
    keys = stock_up(make_variant(), 1)
    (secret,) = [part.partition(":")[2] for part in settings.CARD_KEY_KEK.split(",")]

    folder = back_up(tmp_path / "backups", now=db_now())

    pg_restore, _version = clients.find("pg_restore", at_least=clients.server_version())
    plain = subprocess.run([pg_restore, "-f", "-", folder / DATABASE], capture_output=True, check=True).stdout
    assert b"inventory_cardkey" in plain  # so it is all of it
    written = plain + (folder / MANIFEST).read_bytes()
    for hidden in (keys[0], keys[0].encode().hex(), secret, b64decode(secret).hex(), settings.SECRET_KEY):
        assert hidden.encode() not in written
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_old_backups_go_and_what_was_interrupted_is_no_backup(settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = str(tmp_path / "media")
    now = db_now()
    made = [back_up(tmp_path, now=now + timedelta(hours=hour), keep=2) for hour in range(2)]

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(clients, "run", fail)
        with pytest.raises(CannotBackUp, match="No space left"):
            back_up(tmp_path, now=now + timedelta(hours=2), keep=2)
    assert [folder for _moment, folder in backups_in(tmp_path)] == made

    newest = back_up(tmp_path, now=now + timedelta(hours=3), keep=2)

    assert [folder for _moment, folder in backups_in(tmp_path)] == [made[1], newest]
    assert not list(tmp_path.glob(".cardshop-*"))


def test_what_cannot_be_dumped_is_said_without_the_password(settings, tmp_path):
    settings.BACKUP_ROOT = ""
    with pytest.raises(CommandError, match="Say where to"):
        call_command("backup")
    pg_dump, _version = clients.find("pg_dump", at_least=clients.server_version())
    where = {**connection.settings_dict, "HOST": "127.0.0.1", "PORT": "1", "PASSWORD": "canary"}
    with (
        patch.dict(connection.settings_dict, where),
        pytest.raises(CannotBackUp, match="pg_dump failed") as failed,
    ):
        clients.run(pg_dump, ["--schema-only"])
    assert "canary" not in str(failed.value)


def test_what_is_left_out_is_there_to_be_left_out():
    assert {"django_session", "axes_accessattempt"} <= set(connection.introspection.table_names())
    assert set(LEFT_OUT) <= set(connection.introspection.table_names())
