"""The form of a way to pay has what its driver asks for, and gives away no secret."""

from dataclasses import replace

import pytest
from django.core import mail
from django.utils.html import escape
from django.utils.translation import override

from payments.gateways import DRIVERS, epay, seal_secrets, secrets_of
from payments.gateways.drivers import Setting
from payments.gateways.rsa import private_key
from payments.models import PaymentChannel
from payments.tasks import mail_channel_changes
from payments.tests.channel_forms import (
    ALL_DRIVERS,
    CHANNELS,
    OURS,
    add_address,
    channel_form,
    field_name,
    form_of,
)
from tests.factories import make_channel, make_shop
from tests.staff import confirmed, logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db

every_driver = pytest.mark.parametrize("driver", ALL_DRIVERS, ids=[driver.name for driver in ALL_DRIVERS])


def no_dots(text):
    if "." in text:
        raise ValueError("No dots, please.")


DOUBLE = replace(
    epay.DRIVER,
    name="double",
    settings=(
        *epay.DRIVER.settings,
        Setting(name="second", label="Second key", is_secret=True),
        Setting(name="third", label="Third key", is_secret=True, is_required=False),
        Setting(name="zone", label="Zone", help_text="Ask them which.", check=no_dots),
        Setting(name="hint", label="Hint", is_required=False),
        Setting(name="taste", label="Taste", is_required=False, is_preference=True),
    ),
)


@pytest.fixture
def boss():
    return confirmed(make_boss())


@pytest.fixture
def double(monkeypatch):
    """A driver with options and several secrets."""
    monkeypatch.setitem(DRIVERS, "double", DOUBLE)


def double_form(**changes):
    return channel_form(**{"secret_second": "CANARY-second", "option_zone": "eu", **changes})


def make_double(**fields):
    channel = make_channel(
        driver="double", base_url="https://pay.example.com/", options={"zone": "eu"}, **fields
    )
    seal_secrets(channel, {"secret": "one", "second": "two", "third": "three"})
    channel.save()
    return channel


def test_adding_begins_with_the_choice_of_a_driver(boss):
    for address in (f"{CHANNELS}add/", f"{CHANNELS}add/?driver=nonsense"):
        page = boss.get(address).content.decode()
        for driver in ALL_DRIVERS:
            assert f'href="?driver={driver.name}"' in page
    boss.post(f"{CHANNELS}add/", channel_form(shop=make_shop().pk))
    assert not PaymentChannel.objects.exists()


@every_driver
def test_every_driver_has_a_form_that_asks_for_its_settings_only(boss, driver):
    make_shop()
    page = boss.get(add_address(driver.name)).content.decode()
    for setting in driver.settings:
        assert f'name="{field_name(setting)}"' in page
        with override("en"):
            assert escape(str(setting.label)) in page
    others = {name for other in ALL_DRIVERS for name in map(field_name, other.settings)}
    for name in others - set(map(field_name, driver.settings)):
        assert f'name="{name}"' not in page
    if driver.base_url:
        assert f'value="{driver.base_url}"' in page
    for method, _label in PaymentChannel.METHODS:
        assert (f'<option value="{method}"' in page) == (method in driver.methods)


@every_driver
def test_every_driver_can_be_set_up_and_looked_at_again(boss, driver):
    entered = form_of(driver, shop=make_shop().pk)
    assert boss.post(add_address(driver.name), entered).status_code == 302

    channel = PaymentChannel.objects.get()
    assert channel.driver == driver.name
    assert secrets_of(channel) == {s.name: entered[field_name(s)] for s in driver.settings if s.is_secret}
    change = f"{CHANNELS}{channel.pk}/change/"
    shown = boss.get(change).content.decode()
    for setting in driver.settings:
        assert (entered[field_name(setting)] in shown) == (not setting.is_secret)
    kept = {name: text for name, text in entered.items() if not name.startswith("secret_")}
    assert boss.post(change, {**kept, "name": "anew"}).status_code == 302
    channel.refresh_from_db()
    assert channel.name == "anew"
    assert secrets_of(channel) == {s.name: entered[field_name(s)] for s in driver.settings if s.is_secret}


@every_driver
def test_what_a_driver_needs_is_demanded_and_checked(boss, driver):
    shop = make_shop().pk
    for setting in driver.settings:
        name = field_name(setting)
        if setting.is_required:
            page = boss.post(add_address(driver.name), form_of(driver, shop=shop, **{name: ""}))
            assert page.status_code == 200
            assert "CANARY" not in page.content.decode()
        if setting.check:
            assert (
                boss.post(add_address(driver.name), form_of(driver, shop=shop, **{name: "?"})).status_code
                == 200
            )
    assert not PaymentChannel.objects.exists()


@pytest.mark.usefixtures("double")
def test_options_and_several_secrets_are_kept_under_their_names(boss):
    assert boss.post(add_address("double"), double_form(shop=make_shop().pk)).status_code == 302

    channel = PaymentChannel.objects.get()
    assert channel.options == {"zone": "eu"}
    assert secrets_of(channel) == {"secret": "CANARY-secret", "second": "CANARY-second", "third": ""}
    page = boss.get(f"{CHANNELS}{channel.pk}/change/").content.decode()
    assert 'value="eu"' in page
    assert "Ask them which." in page
    assert "CANARY" not in page


@pytest.mark.usefixtures("double")
def test_of_several_secrets_one_can_be_changed_alone(boss):
    channel = make_double()
    entered = double_form(secret_secret="", secret_second="CANARY-new")
    assert boss.post(f"{CHANNELS}{channel.pk}/change/", entered).status_code == 302
    channel.refresh_from_db()
    assert secrets_of(channel) == {"secret": "one", "second": "CANARY-new", "third": "three"}


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("moved", [{"option_zone": "us"}, {"option_hint": "x"}, {"merchant_id": "2"}])
def test_other_options_need_all_the_secrets_again(boss, moved):
    channel = make_double()
    entered = {"secret_third": "CANARY-third", **moved}
    for missing in ("secret_secret", "secret_second", "secret_third"):
        page = boss.post(f"{CHANNELS}{channel.pk}/change/", double_form(**{**entered, missing: ""}))
        assert "Enter it again" in page.content.decode()
        channel.refresh_from_db()
        assert (channel.options, secrets_of(channel)["secret"]) == ({"zone": "eu"}, "one")
    assert boss.post(f"{CHANNELS}{channel.pk}/change/", double_form(**entered)).status_code == 302
    channel.refresh_from_db()
    assert secrets_of(channel) == {
        "secret": "CANARY-secret",
        "second": "CANARY-second",
        "third": "CANARY-third",
    }


NONE_ENTERED = {"secret_secret": "", "secret_second": ""}


@pytest.mark.usefixtures("double")
def test_a_preference_needs_no_secret_again_and_loses_none(boss):
    channel = make_double()
    for taste in ("sweet", "sour", ""):
        entered = double_form(option_taste=taste, **NONE_ENTERED)
        assert boss.post(f"{CHANNELS}{channel.pk}/change/", entered).status_code == 302
        channel.refresh_from_db()
        assert channel.options.get("taste", "") == taste
        assert secrets_of(channel) == {"secret": "one", "second": "two", "third": "three"}
    mail_channel_changes()
    assert not mail.outbox


def test_the_preferences_are_what_leads_nothing_anywhere():
    marked = {(driver.name, s.name) for driver in ALL_DRIVERS for s in driver.settings if s.is_preference}
    assert marked == {("epay_v1", "device"), ("epay_v1", "signs_encoded"), ("wechat", "h5")}


@pytest.mark.usefixtures("double")
def test_a_secret_that_need_not_be_there_is_removed_on_purpose(boss):
    channel = make_double()
    address = f"{CHANNELS}{channel.pk}/change/"
    assert boss.get(address).content.decode().count('name="remove_') == 1
    assert 'name="remove_' not in boss.get(add_address("double")).content.decode()

    assert boss.post(address, double_form(remove_third="on", **NONE_ENTERED)).status_code == 302

    channel.refresh_from_db()
    assert secrets_of(channel) == {"secret": "one", "second": "two", "third": ""}
    history = boss.get(f"{CHANNELS}{channel.pk}/history/").content.decode()
    assert "Remove the stored one: no → yes" in history


@pytest.mark.usefixtures("double")
def test_a_secret_is_removed_together_with_what_it_was_for(boss):
    channel = make_double()
    entered = double_form(option_zone="us", remove_third="on")
    assert boss.post(f"{CHANNELS}{channel.pk}/change/", entered).status_code == 302
    channel.refresh_from_db()
    assert secrets_of(channel) == {"secret": "CANARY-secret", "second": "CANARY-second", "third": ""}


@pytest.mark.usefixtures("double")
def test_secrets_that_cannot_be_opened_are_all_entered_anew(boss):
    channel = make_double()
    PaymentChannel.objects.update(sealed_secret=b"another:" + bytes(60))
    page = boss.post(f"{CHANNELS}{channel.pk}/change/", double_form(secret_second=""))
    assert "cannot be opened" in page.content.decode()
    assert boss.post(f"{CHANNELS}{channel.pk}/change/", double_form()).status_code == 302
    channel.refresh_from_db()
    assert secrets_of(channel)["second"] == "CANARY-second"


@pytest.mark.usefixtures("double")
def test_the_words_of_a_check_reach_the_merchant(boss):
    page = boss.post(add_address("double"), double_form(shop=make_shop().pk, option_zone="a.b"))
    assert "No dots, please." in page.content.decode()


def test_the_driver_stays(boss):
    channel = make_channel(base_url="https://pay.example.com/")
    boss.post(
        f"{CHANNELS}{channel.pk}/change/?driver=epay_v2", channel_form(driver="epay_v2", secret_secret="")
    )
    channel.refresh_from_db()
    assert channel.driver == "epay_v1"


def test_a_channel_of_a_driver_that_is_gone_can_be_looked_at(boss):
    channel = make_channel(driver="gone", base_url="https://pay.example.com/")
    address = f"{CHANNELS}{channel.pk}/change/"
    assert "https://pay.example.com/" in boss.get(address).content.decode()
    assert boss.post(address, channel_form()).status_code == 403


def test_fees_and_limits_are_entered_as_people_say_them(boss):
    channel = make_channel(base_url="https://pay.example.com/")
    address = f"{CHANNELS}{channel.pk}/change/"
    entered = channel_form(secret_secret="", is_pinned="on")
    boss.post(
        address, {**entered, "fee_percent": "0.6", "fee_fixed": "0.30", "least": "1", "most": "5000.00"}
    )
    channel.refresh_from_db()
    money = (channel.fee_basis_points, channel.fee_fixed_minor, channel.least_minor, channel.most_minor)
    assert money == (60, 30, 100, 500000)
    assert channel.is_pinned
    page = boss.get(address).content.decode()
    for text in ("0.60", "0.30", "1.00", "5000.00"):
        assert f'value="{text}"' in page
    boss.post(address, entered)
    channel.refresh_from_db()
    money = (channel.fee_basis_points, channel.fee_fixed_minor, channel.least_minor, channel.most_minor)
    assert money == (0, 0, None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fee_percent": "101"},
        {"fee_percent": "-1"},
        {"fee_percent": "0.123"},
        {"fee_fixed": "0.001"},
        {"fee_fixed": "much"},
        {"fee_fixed": "99999999999"},
        {"least": "-1"},
        {"most": "1e3"},
        {"least": "10", "most": "9.99"},
    ],
    ids=str,
)
def test_fees_and_limits_that_make_no_sense_are_refused(boss, wrong):
    channel = make_channel(base_url="https://pay.example.com/")
    page = boss.post(f"{CHANNELS}{channel.pk}/change/", channel_form(secret_secret="", name="no", **wrong))
    assert page.status_code == 200
    channel.refresh_from_db()
    assert channel.name != "no"


def test_the_provider_key_may_come_back_with_other_line_ends(boss):
    """As browsers send them. The secret is bound to the key to the letter."""
    pem = "-----BEGIN PUBLIC KEY-----\n" + _public() + "\n-----END PUBLIC KEY-----"
    entered = form_of(DRIVERS["epay_v2"], shop=make_shop().pk, provider_key=pem.replace("\n", "\r\n"))
    boss.post(add_address("epay_v2"), entered)
    channel = PaymentChannel.objects.get()
    address, secret = f"{CHANNELS}{channel.pk}/change/", {"secret_secret": ""}
    assert boss.post(address, {**entered, **secret, "name": "anew"}).status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.secret) == ("anew", OURS)


def _public():
    return form_of(DRIVERS["epay_v2"])["provider_key"]


def test_a_pasted_private_key_may_have_lost_its_line_ends():
    """A browser's password field takes them away."""
    in_one = f"-----BEGIN PRIVATE KEY-----{OURS}-----END PRIVATE KEY-----"
    assert private_key(in_one).private_numbers() == private_key(OURS).private_numbers()


def test_whoever_may_only_look_sees_the_settings_and_cannot_choose_a_driver():
    channel = make_channel(options={"zone": "eu"})
    clerk = logged_in(make_clerk("payments.view_paymentchannel"))
    assert "zone: eu" in clerk.get(f"{CHANNELS}{channel.pk}/change/").content.decode()
    assert clerk.get(f"{CHANNELS}add/").status_code == 403
    assert clerk.get(add_address()).status_code == 403
