"""`manage.py doctor`: how it speaks, and what it says of settings."""

import json
import os
import subprocess
import sys
import time

import pytest

from cardshop.operations.doctor import outside
from cardshop.operations.doctor.findings import Finding, Level, Look, examine, ok, warning, worst
from cardshop.operations.management.commands import doctor
from cardshop.operations.tests.doctor import OTHER_KEK, diagnosed, level_of, sentence
from cardshop.settings import env
from tests.factories import make_channel, make_shop, make_variant
from tests.stack import REPOSITORY

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("finding", "code"),
    [(ok("well"), 0), (warning("odd", "look"), 1), (Finding(Level.PROBLEM, "broken", "mend"), 2)],
)
def test_the_exit_code_is_the_worst_of_all(monkeypatch, finding, code):
    looks = [Look("first", lambda: [ok("well")]), Look("second", lambda: [finding])]
    monkeypatch.setattr(doctor, "LOOKS", looks)

    exit_code, printed = diagnosed("--json", "--language", "en")

    assert exit_code == code
    assert json.loads(printed)["checks"][1] == {
        "name": "second",
        "level": finding.level.name.lower(),
        "said": finding.said,
        "remedy": finding.remedy,
    }


def test_a_check_that_fails_ends_no_other_and_quotes_nothing():
    def fail() -> list[Finding]:
        raise ValueError("postgresql://shop:s3cret@db/")

    findings = dict(examine([Look("bad", fail), Look("good", lambda: [ok("well")])], language="en"))

    assert findings["bad"][0].said == "This could not be looked at: ValueError."
    assert "s3cret" not in str(findings)
    assert findings["good"] == [ok("well")]


def test_a_check_that_never_ends_keeps_nobody_waiting():
    began = time.monotonic()

    findings = dict(
        examine(
            [Look("slow", lambda: time.sleep(5) or [], patience=0.05), Look("good", lambda: [ok("well")])],
            language="en",
        )
    )

    assert worst(findings["slow"]) == Level.PROBLEM
    assert findings["good"] == [ok("well")]
    assert time.monotonic() - began < 3


def test_it_speaks_the_language_of_the_terminal(monkeypatch):
    monkeypatch.setattr(doctor, "LOOKS", [look for look in doctor.LOOKS if look.name == "secret-key"])
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert "SECRET_KEY 足够长" in diagnosed()[1]

    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    assert "SECRET_KEY is long enough" in diagnosed()[1]
    assert "SECRET_KEY 足够长" in diagnosed("--language", "zh-hans")[1]


def test_it_looks_at_everything_and_shows_no_secret(settings, monkeypatch):
    """Half of it is broken here, and nothing of it may quote what it was given."""
    secrets = {
        "SECRET_KEY": "canary-secret-key-0123456789-0123456789-0123456789",
        "CARD_KEY_KEK": "canary:bm90IDMyIGJ5dGVz",
        "CELERY_BROKER_URL": "amqp://shop:canary-broker@127.0.0.1:1/",
        "ADMISSION_REDIS_URL": "redis://:canary-redis@127.0.0.1:1/0",
        "EMAIL_HOST_PASSWORD": "canary-mail",
    }
    make_channel()
    make_variant(keys=1)
    for name, secret in secrets.items():
        setattr(settings, name, secret)
    settings.CACHES = env.redis_cache(secrets["ADMISSION_REDIS_URL"])
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = outside.SMTP, "127.0.0.1", 1

    code, printed = diagnosed("--json", "--language", "en")

    assert code == 2
    checks = json.loads(printed)["checks"]
    assert {look.name for look in doctor.LOOKS} | {"mail"} == {check["name"] for check in checks}
    for check in checks:
        assert check["said"]
        assert check["level"] == "ok" or check["remedy"]
        # None failed itself: whatever is broken is foreseen.
        assert "could not be looked at" not in check["said"]
    assert "canary" not in printed


def test_settings_that_are_missing_are_named_instead_of_shown_as_a_traceback():
    bare = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "cardshop.settings.production"}

    said = subprocess.run(
        [sys.executable, "manage.py", "doctor"], cwd=REPOSITORY, env=bare, capture_output=True, text=True
    )

    assert said.returncode == 2
    assert said.stderr.startswith("cardshop: SECRET_KEY is not set")
    assert "Traceback" not in said.stderr


# Settings


def test_debug(settings):
    assert level_of("settings") < Level.PROBLEM

    settings.DEBUG = True

    assert sentence("settings").startswith("DEBUG is on")


def test_what_django_s_own_checks_find_is_said(settings):
    settings.CELERY_BROKER_URL = "sqs://"

    assert "cardshop.E002" in sentence("settings")


@pytest.mark.parametrize(
    "secret", ["short", "x" * 60, "django-insecure-0123456789abcdefghijklmnopqrstuvwxyz"]
)
def test_a_secret_key_that_can_be_guessed(settings, secret):
    assert level_of("secret-key") == Level.OK

    settings.SECRET_KEY = secret

    assert level_of("secret-key") == Level.PROBLEM


def test_the_wrong_kek(settings):
    make_variant(keys=2)
    make_channel()
    assert level_of("key-encryption") == Level.OK

    settings.CARD_KEY_KEK = OTHER_KEK

    said = sentence("key-encryption")
    assert "card keys: 2 stand under key" in said
    assert "ways to pay: 1 stand under key" in said


def test_no_kek(settings):
    settings.CARD_KEY_KEK = ""

    assert sentence("key-encryption").startswith("CARD_KEY_KEK is missing")


def test_hosts(settings):
    assert sentence("hosts").startswith("There is no shop yet")
    make_shop(host="shop.example.org")
    settings.ALLOWED_HOSTS = ["shop.example.org", "127.0.0.1"]
    assert level_of("hosts") == Level.OK

    settings.ALLOWED_HOSTS = [".example.net"]

    assert "ALLOWED_HOSTS lacks them: shop.example.org" in sentence("hosts")


def test_a_host_without_a_shop(settings):
    make_shop(host="a.example.org")
    make_shop("other", host="b.example.org")
    settings.ALLOWED_HOSTS = [".example.org", "localhost"]
    assert level_of("hosts") == Level.OK

    settings.ALLOWED_HOSTS = [".example.org", "c.example.net"]

    assert sentence("hosts") == "No shop has these host names of ALLOWED_HOSTS: c.example.net."


@pytest.mark.parametrize(
    ("proxies", "level"),
    [
        (["127.0.0.1/32"], Level.OK),
        ([], Level.WARNING),
        (["0.0.0.0/0"], Level.PROBLEM),
        (["::/0"], Level.PROBLEM),
        (["proxy"], Level.PROBLEM),
    ],
)
def test_proxies(settings, proxies, level):
    settings.SITE_SCHEME = "https"
    settings.TRUSTED_PROXIES = proxies

    assert level_of("proxies") == level
