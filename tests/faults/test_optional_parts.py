"""What a purchase can do without is broken for real, and a buyer gets to the key all the same."""

import logging
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import local

import pytest
from celery import Celery
from django.core.files.base import ContentFile
from django.test import Client
from django.utils.translation import trans_real

from cardshop.celery import app
from cardshop.common.clock import db_now
from cardshop.outbox import services as outbox
from cardshop.outbox.models import OutboxMessage
from cardshop.outbox.services import due_tasks
from cardshop.settings import env
from cardshop.traffic import breakers, buckets
from inventory.models import ProductImage, Variant
from orders.admission import gate
from payments.models import PaymentAttempt
from payments.routing import state
from payments.tests.providers import Provider
from tests.factories import make_attempt, make_channel, make_order, make_variant, notice_query, stock_up
from tests.test_journey import hidden

pytestmark = pytest.mark.django_db(transaction=True)

ONE_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)
CALLER = "203.0.114.8"  # global, so that its actions are counted


@pytest.fixture(autouse=True)
def _media(settings, tmp_path) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "media")


@pytest.fixture
def keys() -> list[str]:
    make_channel()
    return stock_up(make_variant(code="coins"), 1)


@pytest.fixture
def picture(keys: list[str]) -> ProductImage:
    file = ContentFile(ONE_PIXEL, name="coins.png")
    return ProductImage.objects.create(product=Variant.objects.get().product, file=file)


def buy_and_collect(provider: Provider) -> str:
    """The order's page in the end, after home, product, form, order, payment, notice and delivery."""
    buyer = Client(REMOTE_ADDR=CALLER)
    for path in ("/", "/p/coins/"):
        assert buyer.get(path).status_code == 200
    form = buyer.get("/buy/coins/")
    entered = {name: hidden(form, name) for name in ("pass", "idempotency_key")}
    placed = buyer.post("/buy/coins/", {**entered, "quantity": "1", "contact_email": "lin@example.org"})
    assert placed.status_code == 303
    link = placed["Location"]
    assert buyer.post(f"{link}pay/", {"method": "alipay"}).status_code == 303
    assert buyer.get(link).status_code == 200
    attempt = PaymentAttempt.objects.get()
    provider.knows(attempt)
    notice = buyer.get(f"/pay/notify/{attempt.channel.slug}/?{notice_query(attempt)}")
    assert notice.content == b"success"
    work_without_mail()
    page = buyer.get(link)
    assert page.status_code == 200
    return page.content.decode()


def work_without_mail() -> None:
    """What the sweep would have the workers do, but the mail's."""
    app.loader.import_default_modules()
    while due := [task for task in due_tasks(db_now()) if task != "orders.mail_delivery"]:
        for task in due:
            app.tasks[task]()


def test_with_the_folder_of_pictures_gone(provider, keys, picture, settings):
    shutil.rmtree(settings.MEDIA_ROOT)

    assert keys[0] in buy_and_collect(provider)
    assert Client().get(picture.file.url).status_code == 404


def test_with_the_storage_of_pictures_failing(provider, keys, picture):
    """A folder where the file should be: it exists, and to open it raises."""
    path = Path(picture.file.path)
    path.unlink()
    path.mkdir()

    assert keys[0] in buy_and_collect(provider)
    assert Client().get(picture.file.url).status_code == 404


@pytest.fixture(params=["refusing", "silent"])
def nowhere(request) -> Iterator[tuple[str, int]]:
    """An address where nobody listens, or somebody accepts and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=256)) as server:
        if request.param == "refusing":
            server.close()
            yield "127.0.0.1", 1
        else:
            yield server.getsockname()


@pytest.fixture
def without_redis(nowhere, settings, monkeypatch) -> None:
    """No cache, no limits, no breakers, no routing statistics, no gate, and nobody to wake the workers."""
    url = "redis://{}:{}/0".format(*nowhere)
    settings.CACHES, settings.ADMISSION_REDIS_URL = env.redis_cache(url), url
    settings.CELERY_BROKER_URL = url
    celery = Celery("without-redis", set_as_current=False)
    celery.config_from_object("django.conf:settings", namespace="CELERY")
    monkeypatch.setattr(outbox, "current_app", celery)
    monkeypatch.setattr(outbox, "_quiet_until", 0.0)
    monkeypatch.setattr(gate, "_local", local())
    for module in (breakers, buckets, state):
        monkeypatch.setattr(module, "_here", local())


@pytest.mark.usefixtures("without_redis")
def test_with_redis_and_the_broker_gone(provider, keys):
    assert keys[0] in buy_and_collect(provider)


def test_with_a_mail_server_that_does_not_answer(provider, keys, settings, nowhere):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = nowhere
    settings.EMAIL_TIMEOUT = 0.3

    assert keys[0] in buy_and_collect(provider)

    app.tasks["orders.mail_delivery"]()
    assert OutboxMessage.objects.get(task="orders.mail_delivery").done_at is None  # and tried again


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Every line of the log fails with ENOSPC."""
    handler = next(
        handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler
    )
    with suppress(OSError), open("/dev/full", "w") as full:  # closing it fails, too
        usual = handler.setStream(full)
        with pytest.raises(OSError, match="No space left"):
            print("a line", file=full, flush=True)
        yield
        handler.setStream(usual)


@pytest.mark.usefixtures("full_disk")
def test_with_no_space_left_for_the_log(provider, keys):
    assert keys[0] in buy_and_collect(provider)


@pytest.fixture
def without_translations(settings, tmp_path, monkeypatch) -> None:
    settings.LOCALE_PATHS = [str(tmp_path)]
    monkeypatch.setattr(trans_real, "_translations", {})
    monkeypatch.setattr(trans_real, "_active", trans_real.Local())


@pytest.mark.usefixtures("without_translations")
def test_without_the_translations_it_is_in_english(provider, keys):
    page = buy_and_collect(provider)

    assert keys[0] in page
    assert "No account needed" in page


def test_with_a_code_to_scan_that_no_picture_can_hold(keys):
    """The payment can still be made: the code is a link as well."""
    attempt = make_attempt(make_order(Variant.objects.get()))
    address = "https://pay.example/" + "x" * 3000
    PaymentAttempt.objects.update(pay_url="", qr=address)

    page = Client().get(f"/o/{attempt.payment.order.token}/")

    assert page.status_code == 200
    assert f'href="{address}"' in page.content.decode()
    assert "scan-code" not in page.content.decode()
