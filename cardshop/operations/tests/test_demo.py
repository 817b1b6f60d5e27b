"""The demo shop: complete after any start, unchanged by the next, and never with a known password."""

import io
import json
from pathlib import Path

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command
from PIL import Image

from cardshop.operations import sealed_values
from cardshop.operations.demo import ensure_admin, seed
from cardshop.operations.demo_goods import CATEGORIES, PRODUCTS
from cardshop.operations.demo_pictures import HEIGHT, WIDTH, cover
from cardshop.operations.management.commands.up import surroundings
from inventory.models import CardKey, Product, ProductImage, Stock, Variant
from inventory.selectors import available_counts
from payments.models import PaymentChannel
from resellers.models import ApiKey
from resellers.tests.calling import API, Program

KEY = "demo-sandbox-key-0123456789"


@pytest.fixture(autouse=True)
def _sandbox_and_media(monkeypatch, settings, tmp_path):
    monkeypatch.setenv("SANDBOX_KEY", KEY)
    monkeypatch.setenv("SANDBOX_PORT", "8123")
    settings.MEDIA_ROOT = str(tmp_path)


def counts() -> tuple[int, ...]:
    tables = (Product, Variant, Stock, CardKey, ProductImage, PaymentChannel)
    return tuple(table.objects.count() for table in tables)


@pytest.mark.django_db(transaction=True)
def test_seeding_twice_changes_nothing_the_second_time():
    assert seed().new_keys > 0
    first = counts()
    Variant.objects.filter(code="liuli-crystals-60").update(price_minor=777)

    assert seed().new_keys == 0

    assert counts() == first
    assert Variant.objects.get(code="liuli-crystals-60").price_minor == 777
    assert list(sealed_values.findings()) == []


@pytest.mark.django_db(transaction=True)
def test_an_interrupted_seeding_is_completed_by_the_next(monkeypatch):
    def fail(**_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cardshop.operations.demo.import_keys", fail)
        with pytest.raises(KeyboardInterrupt):
            seed()

    seed()

    assert Product.objects.count() == len(PRODUCTS)
    variants = list(Variant.objects.all())
    sold_out = {variant.code for variant in variants if available_counts(variants)[variant.pk] == 0}
    assert sold_out == {"farhaven-pass-deluxe", "mistmount-skin-skin"}


@pytest.mark.django_db(transaction=True)
def test_the_channels_follow_the_sandbox_to_its_new_port(monkeypatch):
    seed()
    monkeypatch.setenv("SANDBOX_PORT", "8124")

    seed()

    channels = PaymentChannel.objects.exclude(method="balance").order_by("position")
    assert [channel.method for channel in channels] == ["alipay", "wxpay"]
    assert {channel.base_url for channel in channels} == {"http://127.0.0.1:8124/"}
    assert {channel.secret for channel in channels} == {KEY}


@pytest.mark.django_db(transaction=True)
def test_usdt_is_offered_where_the_sandbox_takes_it(monkeypatch, tmp_path):
    around = surroundings(port=1, hot_port=2, api_port=4, sandbox_port=3, var=tmp_path)
    for name in ("SANDBOX_USDT", "SANDBOX_USDT_KEY"):
        monkeypatch.setenv(name, around[name])

    seed()

    channel = PaymentChannel.objects.get(method="usdt")
    assert {channel.driver: channel.secret} == json.loads(around["SANDBOX_USDT"])
    assert channel.base_url == "http://127.0.0.1:8123/bepusdt/"


@pytest.mark.django_db(transaction=True)
def test_balances_need_no_sandbox_and_nobody_pays_through_one_that_is_not_there(monkeypatch):
    monkeypatch.delenv("SANDBOX_KEY")

    assert not seed().pays

    assert [channel.driver for channel in PaymentChannel.objects.all()] == ["balance"]


@pytest.mark.django_db(transaction=True)
def test_a_lost_picture_is_drawn_again():
    seed()
    lost = Path(ProductImage.objects.order_by("pk")[0].file.path)
    drawn = lost.read_bytes()
    lost.unlink()

    seed()

    assert lost.read_bytes() == drawn
    assert ProductImage.objects.count() == len(PRODUCTS)


@pytest.mark.django_db(transaction=True)
def test_the_command_prints_no_secret(capsys):
    call_command("demo")

    assert KEY not in "".join(capsys.readouterr())


@pytest.mark.django_db
def test_the_first_superuser_gets_a_random_password_and_nobody_a_second(rf):
    username, password = ensure_admin()

    assert authenticate(rf.post("/admin/login/"), username=username, password=password)
    assert len(password) >= 16
    assert ensure_admin() is None
    assert get_user_model().objects.count() == 1


def test_covers_are_the_same_every_time():
    look = PRODUCTS[0].look

    assert cover(look) == cover.__wrapped__(look)
    assert Image.open(io.BytesIO(cover(look))).size == (WIDTH, HEIGHT)


def test_everything_has_both_languages_and_a_category():
    categories = {slug for slug, _name, _name_en in CATEGORIES}
    for goods in PRODUCTS:
        assert goods.category in categories
        assert all((goods.name_en, goods.summary_en, goods.description_en))
        assert 1 <= len(goods.offers) <= 4
        assert all(offer.name_en for offer in goods.offers)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("line")
def test_its_reseller_can_buy_with_what_is_printed():
    with pytest.raises(CommandError, match="no demo shop"):
        call_command("demo_reseller")
    seed()
    said = io.StringIO()

    call_command("demo_reseller", stdout=said)

    told = dict(line.removeprefix("export ").split("=", 1) for line in said.getvalue().splitlines())
    program = Program(ApiKey.objects.get(name=told["CARDSHOP_KEY"]), told["CARDSHOP_SECRET"])
    body = json.dumps({"lines": [{"variant": told["CARDSHOP_VARIANT"], "quantity": 2}]}).encode()
    answer = program.call(f"{API}orders/", "POST", body, headers={"Idempotency-Key": "the-key-1"})
    assert answer.json()["status"] == "delivered"
