"""What `doctor` says of servers and processes, each broken for real; the same thing whole is the control."""

import time
from contextlib import closing, contextmanager
from datetime import timedelta

import psycopg2
import pytest
import redis
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder
from kombu import Connection

from cardshop.celery import app
from cardshop.common.clock import db_now
from cardshop.embedded.redis_server import RedisServer
from cardshop.operations.doctor import database
from cardshop.operations.doctor.findings import Level, examine
from cardshop.operations.management.commands import doctor
from cardshop.operations.tests.doctor import level_of, sentence
from cardshop.outbox.heartbeats import show_life
from cardshop.settings import env
from inventory.models import Selling
from tests.factories import make_variant
from tests.stack import free_ports

pytestmark = pytest.mark.django_db(transaction=True)


# PostgreSQL


def test_a_pending_migration():
    assert level_of("database") == Level.OK
    last = MigrationRecorder.Migration.objects.filter(app="outbox").latest("pk")
    last.delete()
    try:
        looks = [look for look in doctor.LOOKS if look.name in ("database", "outbox")]
        findings = dict(examine(looks, language="en"))
    finally:
        last.save(force_insert=True)

    assert "migrations are pending" in findings["database"][0].said
    assert findings["database"][0].remedy == "Run `manage.py migrate`."
    assert findings["outbox"][0].said == "Not looked at: the database is not in order."


def test_a_database_that_is_away(monkeypatch):
    where = connections.settings["default"]
    for name, value in {"HOST": "127.0.0.1", "PORT": str(free_ports(1)[0])}.items():
        monkeypatch.setitem(where, name, value)

    assert sentence("database").startswith("PostgreSQL does not answer")


def test_few_connections_are_left(monkeypatch):
    assert level_of("connections") == Level.OK

    monkeypatch.setattr(database, "NEARLY_ALL", 0.0)
    assert level_of("connections") == Level.WARNING


def test_a_transaction_that_somebody_left_open(monkeypatch):
    monkeypatch.setattr(database, "LONG", timedelta(milliseconds=20))
    assert level_of("transactions") == Level.OK
    parameters = connection.get_connection_params()

    with closing(psycopg2.connect(**parameters)) as left_open:
        left_open.cursor().execute("SELECT 1")
        time.sleep(0.05)

        assert "1 transaction(s) are open" in sentence("transactions")


def test_clocks_that_differ(monkeypatch):
    assert level_of("clocks") == Level.OK

    monkeypatch.setattr(database.time, "time", lambda offset=60.0, now=time.time: now() + offset)

    assert "60 seconds apart" in sentence("clocks")


def test_nobody_reads_a_replication_slot():
    assert level_of("replication") == Level.OK
    superuser = {**connection.get_connection_params(), "user": "postgres"}
    with closing(psycopg2.connect(**superuser)) as boss, boss.cursor() as cursor:
        boss.autocommit = True
        cursor.execute("SELECT pg_create_physical_replication_slot('of_a_lost_standby')")
        try:
            assert sentence("replication") == "Nobody reads the replication slot of_a_lost_standby."
        finally:
            cursor.execute("SELECT pg_drop_replication_slot('of_a_lost_standby')")


# Redis


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory):
    var = tmp_path_factory.mktemp("redis")
    (var / "log").mkdir()
    server = RedisServer(var, print)
    server.start()
    yield server
    server.stop()


@contextmanager
def configured(client, **values):
    for name, value in values.items():
        client.config_set(name.replace("_", "-"), value)
    try:
        yield
    finally:
        for name, value in {"maxmemory": 0, "maxmemory-policy": "noeviction", "appendonly": "yes"}.items():
            client.config_set(name, value)


@pytest.fixture
def with_redis(own_redis, settings):
    url = f"unix://{own_redis.socket}?db=0"
    settings.CACHES, settings.ADMISSION_REDIS_URL = env.redis_cache(url), url
    return redis.Redis.from_url(url)


def test_a_line_s_redis_that_evicts(with_redis):
    assert level_of("line-redis") == Level.OK

    with configured(with_redis, maxmemory="100mb", maxmemory_policy="allkeys-lru"):
        assert "evicts what it has no room for (allkeys-lru)" in sentence("line-redis")


def test_a_line_s_redis_that_writes_nothing_down(with_redis):
    make_variant(selling=Selling.QUEUED)
    assert level_of("line-redis") == Level.OK

    with configured(with_redis, appendonly="no"):
        assert sentence("line-redis") == "The Redis that lines live in writes nothing to disk."


def test_a_redis_without_memory(with_redis):
    assert level_of("redis") == Level.OK

    with configured(with_redis, maxmemory="1mb"):
        assert "of its memory" in sentence("redis")


def test_a_redis_that_is_stopped(own_redis, with_redis):
    assert level_of("redis") == Level.OK
    own_redis.stop()
    try:
        assert sentence("redis").startswith("Redis does not answer")
    finally:
        own_redis.start()


# The broker, and the processes


def test_a_broker_that_is_away(settings):
    assert level_of("broker") == Level.OK

    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_ports(1)[0]}/0"

    assert sentence("broker").startswith("The broker does not answer")


def test_messages_that_pile_up(settings):
    with Connection(settings.CELERY_BROKER_URL) as link:
        client = link.default_channel.client
        client.rpush("polling", *range(1001))
        try:
            assert sentence("broker") == "Many messages wait: polling (1001)."
        finally:
            client.delete("polling")


def test_web_processes_that_do_not_answer(monkeypatch):
    web, hot, api = free_ports(3)
    monkeypatch.setenv("WEB_PORT", str(web))
    monkeypatch.setenv("HOT_PORT", str(hot))
    monkeypatch.setenv("API_PORT", str(api))

    assert f"web (127.0.0.1:{web}), hot (127.0.0.1:{hot}), api (127.0.0.1:{api})" in sentence("web")


def test_a_sign_of_life_is_sent_into_every_queue_and_shows_who_does_not_take_it(settings):
    app.loader.import_default_modules()
    signs = [entry for entry in settings.CELERY_BEAT_SCHEDULE.values() if entry["task"] == "outbox.show_life"]
    assert {sign["options"]["queue"] for sign in signs} == {
        queue.name for queue in settings.CELERY_TASK_QUEUES
    }
    assert sentence("workers").startswith("No worker has shown any life")

    for sign in signs:
        if sign["options"]["queue"] != "mail":
            app.tasks[sign["task"]](*sign["args"])
    assert sentence("workers") == "These workers have shown no life for a minute: mail."

    app.tasks["outbox.show_life"]("mail")
    assert level_of("workers") == Level.OK


def test_a_line_without_its_allocator():
    now = db_now()
    show_life("allocate", now=now)
    show_life("allocate_isolated", now=now - timedelta(minutes=2))
    assert level_of("allocators") == Level.WARNING  # there is nothing for it to do

    make_variant(selling=Selling.QUEUED, is_isolated=True)

    assert "allocate_isolated has shown no life" in sentence("allocators")
    assert level_of("allocators") == Level.PROBLEM
    show_life("allocate_isolated", now=now)
    show_life("allocate_isolated", now=now - timedelta(minutes=5))  # late, and changes nothing
    assert level_of("allocators") == Level.OK
