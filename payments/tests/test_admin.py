"""The merchant's pages of the money. A channel's secret goes in and never comes out."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cardshop.common.crypto import CannotOpen
from payments.gateways.rsa import new_key, public_of
from payments.models import PaymentChannel, Receipt, WebhookEvent
from payments.tests.channel_forms import CHANNELS, OURS, THEIRS, add_address, channel_form
from tests.factories import SECRET, make_channel, make_order, make_shop, make_variant, pay_order
from tests.staff import confirmed, logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db(transaction=True)

RSA = add_address("epay_v2")


@pytest.fixture
def boss():
    return confirmed(make_boss())


def test_a_channel_keeps_its_secret_sealed_and_shows_where_notices_go(boss):
    shop = make_shop()
    assert boss.post(add_address(), channel_form(shop=shop.pk)).status_code == 302
    channel = PaymentChannel.objects.get()
    assert channel.secret == "CANARY-secret"
    for address in (CHANNELS, f"{CHANNELS}{channel.pk}/change/", f"{CHANNELS}{channel.pk}/history/"):
        page = boss.get(address).content.decode()
        assert "CANARY" not in page
    assert "/pay/notify/alipay/" in boss.get(f"{CHANNELS}{channel.pk}/change/").content.decode()


def test_a_refused_form_does_not_show_the_secret(boss):
    page = boss.post(add_address(), channel_form(shop=make_shop().pk, merchant_id=""))
    assert page.status_code == 200
    assert "CANARY" not in page.content.decode()


def test_an_empty_secret_keeps_the_old_one(boss):
    channel = make_channel(base_url="https://pay.example.com/")
    answer = boss.post(f"{CHANNELS}{channel.pk}/change/", channel_form(secret_secret="", name="又一个"))
    assert answer.status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.secret) == ("又一个", SECRET)


@pytest.mark.parametrize(
    "moved", [{"base_url": "https://other.example.com/"}, {"merchant_id": "2002"}], ids=["address", "account"]
)
def test_another_address_or_account_needs_the_secret_again(boss, moved):
    channel = make_channel(base_url="https://pay.example.com/")
    address = f"{CHANNELS}{channel.pk}/change/"
    page = boss.post(address, channel_form(secret_secret="", **moved))
    assert "it was for what you have changed" in page.content.decode()
    channel.refresh_from_db()
    assert (channel.base_url, channel.merchant_id, channel.secret) == (
        "https://pay.example.com/",
        "1001",
        SECRET,
    )
    assert boss.post(address, channel_form(**moved)).status_code == 302
    channel.refresh_from_db()
    assert moved.items() <= vars(channel).items()
    assert channel.secret == "CANARY-secret"
    channel.base_url = "https://thief.example.com/"
    with pytest.raises(CannotOpen):
        _ = channel.secret


def test_a_new_channel_needs_a_secret(boss):
    assert boss.post(add_address(), channel_form(shop=make_shop().pk, secret_secret="")).status_code == 200
    assert not PaymentChannel.objects.exists()


def test_shop_and_short_name_are_fixed_at_creation(boss):
    channel = make_channel(base_url="https://pay.example.com/")
    other = make_shop("other")
    boss.post(f"{CHANNELS}{channel.pk}/change/", channel_form(slug="new", shop=other.pk))
    channel.refresh_from_db()
    assert (channel.slug, channel.shop.slug, channel.secret) == ("alipay", "demo", "CANARY-secret")


def test_providers_are_spoken_to_over_https_outside_of_development(boss, settings):
    settings.PROVIDERS_ON_LOOPBACK = False
    shop = make_shop()
    for address in ("http://pay.example.com/", "ftp://pay.example.com/", "javascript:alert(1)"):
        assert boss.post(add_address(), channel_form(shop=shop.pk, base_url=address)).status_code == 200
    assert not PaymentChannel.objects.exists()


def test_a_channel_with_history_stays(boss):
    order = make_order(make_variant(keys=1))
    channel = pay_order(order).channel
    page = boss.post(f"{CHANNELS}{channel.pk}/delete/", {"post": "yes"}).content.decode()
    assert "1 payment attempts" in page
    assert PaymentChannel.objects.exists()


def test_staff_who_may_only_look_see_no_secret_field():
    channel = make_channel()
    clerk = logged_in(make_clerk("payments.view_paymentchannel"))
    page = clerk.get(f"{CHANNELS}{channel.pk}/change/")
    assert page.status_code == 200
    assert 'name="secret_' not in page.content.decode()
    assert "1001" in page.content.decode()


@pytest.fixture
def some_money():
    def earn() -> None:
        attempt = pay_order(make_order(make_variant(keys=2)))
        WebhookEvent.objects.create(
            shop=attempt.channel.shop,
            channel=attempt.channel,
            digest=attempt.out_trade_no,
            method="GET",
            query=f"out_trade_no={attempt.out_trade_no}",
            received_at=attempt.started_at,
        )

    earn()
    return earn


@pytest.mark.parametrize("page", ["payment", "paymentattempt", "receipt", "webhookevent", "paymentchannel"])
def test_lists_render_with_the_same_queries_however_long(boss, some_money, page, django_assert_num_queries):
    address = f"/admin/payments/{page}/"
    boss.get(address)
    with CaptureQueriesContext(connection) as few:
        assert boss.get(address).status_code == 200
    for _ in range(4):
        some_money()
    with django_assert_num_queries(len(few)):
        content = boss.get(address).content.decode()
    assert SECRET not in content


@pytest.mark.usefixtures("some_money")
@pytest.mark.parametrize("page", ["payment", "paymentattempt", "receipt", "webhookevent"])
def test_what_came_in_is_to_be_looked_at_only(boss, page):
    from django.apps import apps

    row = apps.get_model("payments", page).objects.get()
    address = f"/admin/payments/{page}/{row.pk}/"
    assert boss.get(f"{address}change/").status_code == 200
    assert boss.post(f"{address}change/", {}).status_code == 403
    assert boss.get(f"{address}delete/").status_code == 403
    assert boss.get(f"/admin/payments/{page}/add/").status_code == 403


def test_receipts_that_need_a_person_are_listed_by_themselves(boss):
    order = make_order(make_variant(keys=3))
    pay_order(order)
    pay_order(order, txn="DOUBLE")
    pay_order(make_order(make_variant(keys=3)))
    page = boss.get("/admin/payments/receipt/?attention=yes").content.decode()
    others = Receipt.objects.exclude(provider_txn_id="DOUBLE").values_list("provider_txn_id", flat=True)
    assert "DOUBLE" in page
    assert not any(other in page for other in others)


def rsa_form(**changes):
    keys = {"provider_key": public_of(THEIRS), "secret_secret": OURS}
    return channel_form(slug="bank", method="bank", **{**keys, **changes})


def test_a_channel_that_signs_with_rsa_takes_our_private_key_and_their_public_one(boss):
    assert boss.post(RSA, rsa_form(shop=make_shop().pk)).status_code == 302

    channel = PaymentChannel.objects.get()
    assert (channel.secret, channel.provider_key) == (OURS, public_of(THEIRS))
    assert OURS not in boss.get(f"{CHANNELS}{channel.pk}/change/").content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"provider_key": ""},
        {"provider_key": "no key"},
        {"provider_key": OURS},
        {"secret_secret": public_of(OURS)},
    ],
    ids=["none of theirs", "no key", "a private one", "a public one of ours"],
)
def test_what_is_no_rsa_key_is_not_taken(boss, wrong):
    page = boss.post(RSA, rsa_form(shop=make_shop().pk, **wrong))

    assert page.status_code == 200
    assert ("2048" if any(wrong.values()) else "required") in page.content.decode()
    assert OURS not in page.content.decode() or wrong.get("provider_key") == OURS
    assert not PaymentChannel.objects.exists()


def test_who_is_believed_can_only_be_changed_with_the_secret(boss):
    boss.post(RSA, rsa_form(shop=make_shop().pk))
    channel = PaymentChannel.objects.get()
    thief = public_of(new_key())

    refused = boss.post(f"{CHANNELS}{channel.pk}/change/", rsa_form(secret_secret="", provider_key=thief))

    assert refused.status_code == 200
    channel.refresh_from_db()
    assert channel.provider_key == public_of(THEIRS)
    channel.provider_key = thief
    with pytest.raises(CannotOpen):
        _ = channel.secret
