"""From an empty database to the first sale: each step once, however often it is sent."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import CommandError, call_command

from cardshop.operations.first_steps import steps
from cardshop.shops.models import Shop
from inventory.models import Product, Stock
from payments.models import PaymentChannel
from tests.factories import make_channel, make_order, make_variant, pay_order, the_shop
from tests.staff import logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/admin/first-steps/"
SHOP = {"step": "shop", "name": "星河", "host": "shop.example.org", "currency": "CNY", "contact_email": ""}
PRODUCT = {"step": "product", "token": "p-0123abcd", "name": "星币", "variant": "100 枚", "price": "9.90"}


def done():
    return [step.name for step in steps(Shop.objects.first()) if step.is_done]


def test_a_shop_is_opened_once():
    boss = logged_in(make_boss())
    for name in ("星河", "别的"):
        assert boss.post(PAGE, SHOP | {"name": name}).status_code == 302
    assert Shop.objects.get().name == "星河"
    assert done() == ["shop"]


@pytest.mark.parametrize("wrong", [{"host": "https://x/"}, {"name": ""}, {"currency": "XXX"}])
def test_what_cannot_be_a_shop_is_said(wrong):
    assert logged_in(make_boss()).post(PAGE, SHOP | wrong).status_code == 200
    assert not Shop.objects.exists()


def test_a_product_is_listed_once_however_often_it_is_sent():
    the_shop()
    boss = logged_in(make_boss())
    for _ in range(2):
        boss.post(PAGE, PRODUCT)
    variant = Product.objects.get().variants.get()
    assert (variant.price_minor, variant.currency, Stock.objects.count()) == (990, "CNY", 1)
    assert "product" in done()


@pytest.mark.parametrize("wrong", [{"price": "0"}, {"price": "x"}, {"token": "../../x"}, {"variant": ""}])
def test_what_cannot_be_a_product_is_not_listed(wrong):
    the_shop()
    logged_in(make_boss()).post(PAGE, PRODUCT | wrong)
    assert not Product.objects.exists()


def test_mail_is_done_when_somebody_says_that_it_arrived():
    the_shop()
    boss = logged_in(make_boss())
    boss.post(PAGE, {"step": "mail", "to": "me@example.org"})
    assert mail.outbox[0].to == ["me@example.org"]
    assert "mail" not in done()
    boss.post(PAGE, {"step": "mail_arrived"})
    assert "mail" in done()


def test_a_way_to_pay_is_tried(provider):
    channel = make_channel()
    boss = logged_in(make_boss())
    page = boss.post(PAGE, {"step": "try", "channel": str(channel.pk)}, follow=True)
    assert "the provider answers" in page.content.decode()
    PaymentChannel.objects.filter(pk=channel.pk).update(sealed_secret=b"altered")
    page = boss.post(PAGE, {"step": "try", "channel": str(channel.pk)}, follow=True)
    assert "cannot be opened" in page.content.decode()


def test_it_stands_on_the_first_page_until_all_is_done_or_it_is_dismissed():
    boss = logged_in(make_boss())
    assert PAGE in boss.get("/admin/").content.decode()
    boss.post(PAGE, SHOP)
    assert PAGE in boss.get("/admin/").content.decode()
    boss.post(PAGE, {"step": "dismiss"})
    assert PAGE not in boss.get("/admin/").content.decode()


def test_after_the_first_sale_all_is_done():
    make_channel()
    pay_order(make_order(make_variant(keys=1)))
    boss = logged_in(make_boss())
    boss.post(PAGE, {"step": "mail_arrived"})
    assert len(done()) == 6
    assert PAGE not in boss.get("/admin/").content.decode()


def test_it_is_for_who_runs_the_installation():
    the_shop()
    clerk = logged_in(make_clerk("inventory.add_product"))
    assert clerk.get(PAGE).status_code == 403
    assert clerk.post(PAGE, PRODUCT).status_code == 403
    assert not Product.objects.exists()


def test_the_first_account_gets_a_link_that_is_good_once(client):
    out = StringIO()
    call_command("setup", host="127.0.0.1", stdout=out)
    path = "/admin/" + out.getvalue().strip().partition("/admin/")[2]
    form = client.get(path, follow=True)
    where = form.redirect_chain[-1][0]
    client.post(where, {"new_password1": "long-enough-for-us", "new_password2": "long-enough-for-us"})
    assert User.objects.get().check_password("long-enough-for-us")
    assert "has been used" in client.get(path, headers={"accept-language": "en"}).content.decode()
    with pytest.raises(CommandError, match="superuser already"):
        call_command("setup", host="127.0.0.1")
