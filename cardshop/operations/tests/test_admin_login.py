"""Getting into the admin: password, code, lock-out, enrolment, and where `next` may lead."""

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests.staff import PASSWORD, code_of, logged_in, make_boss, make_clerk, make_device

pytestmark = pytest.mark.django_db

LOGIN, CODE, ENROL, HOME = "/admin/login/", "/admin/code/", "/admin/enrol/", "/admin/"


@pytest.fixture
def browser() -> Client:
    return Client(headers={"accept-language": "en"})


@pytest.fixture
def totp_required(settings):
    settings.ADMIN_TOTP_REQUIRED = True


def give_password(browser, password=PASSWORD, username="boss", **query):
    return browser.post(LOGIN, {"username": username, "password": password}, query_params=query)


def test_a_password_is_enough_where_codes_are_optional_and_none_was_set_up(browser):
    make_boss()
    assert give_password(browser).headers["Location"] == HOME
    page = browser.get(HOME)
    assert page.status_code == 200
    assert ENROL in page.content.decode()


def test_without_login_every_page_leads_to_the_login_page(browser):
    for address in (HOME, "/admin/orders/order/", "/admin/inventory/keybatch/import/", CODE, ENROL):
        assert browser.get(address).headers["Location"].startswith(LOGIN)


def test_staff_who_are_no_staff_stay_outside(browser):
    user = make_clerk()
    user.is_staff = False
    user.save()
    assert give_password(browser, username="clerk").status_code == 200
    assert browser.get(HOME).status_code == 302


def test_whoever_has_a_device_needs_its_code_even_where_codes_are_optional(browser):
    device = make_device(make_boss())
    assert give_password(browser).headers["Location"] == HOME
    assert browser.get(HOME).headers["Location"] == f"{CODE}?next=/admin/"
    assert browser.get("/admin/orders/order/").status_code == 302
    assert browser.post(CODE, {"code": code_of(device)}).headers["Location"] == HOME
    assert browser.get(HOME).status_code == 200


def test_half_a_login_cannot_do_anything_else_but_leave(browser):
    make_device(make_boss())
    give_password(browser)
    for address in ("/admin/password_change/", "/admin/auth/user/", "/admin/search/?s=a", "/admin/jsi18n/"):
        assert browser.get(address).headers["Location"].startswith(CODE)
    assert browser.get(ENROL).headers["Location"].startswith(CODE)
    assert browser.get(LOGIN).headers["Location"].startswith(CODE)
    browser.post("/admin/logout/")
    assert browser.get(CODE).headers["Location"].startswith(LOGIN)


def test_a_code_works_once(browser):
    device = make_device(make_boss())
    code = code_of(device)
    give_password(browser)
    assert browser.post(CODE, {"code": code}).status_code == 302
    other = Client(headers={"accept-language": "en"})
    give_password(other)
    page = other.post(CODE, {"code": code})
    assert page.status_code == 200
    assert "used before" in page.content.decode()
    assert other.get(HOME).status_code == 302


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "12 34x6", "-12345"])
def test_what_is_no_code_is_refused_politely(browser, code):
    make_device(make_boss())
    give_password(browser)
    assert browser.post(CODE, {"code": code}).status_code == 200
    assert TOTPDevice.objects.get().throttling_failure_count == 0


def test_guessing_codes_is_slowed_down_even_for_the_right_one(browser):
    device = make_device(make_boss())
    right = code_of(device)
    give_password(browser)
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    for _ in range(3):
        TOTPDevice.objects.update(throttling_failure_timestamp=None)
        assert "That code is wrong" in browser.post(CODE, {"code": wrong}).content.decode()
    assert "Too many wrong codes" in browser.post(CODE, {"code": right}).content.decode()
    assert browser.get(HOME).status_code == 302


def test_a_code_of_another_persons_device_is_worth_nothing(browser):
    make_device(make_boss())
    others = make_device(make_boss("other"))
    give_password(browser)
    assert browser.post(CODE, {"code": code_of(others)}).status_code == 200
    assert browser.get(HOME).status_code == 302


@pytest.mark.usefixtures("totp_required")
def test_where_codes_are_required_one_is_led_to_set_them_up(browser):
    make_boss()
    give_password(browser)
    assert browser.get("/admin/orders/order/").headers["Location"] == f"{ENROL}?next=/admin/orders/order/"
    page = browser.get(ENROL, query_params={"next": "/admin/orders/order/"}).content.decode()
    device = TOTPDevice.objects.get()
    assert "data:image/svg+xml" in page
    assert not device.confirmed
    wrong = f"{(int(code_of(device)) + 1) % 1_000_000:06d}"
    assert browser.post(ENROL, {"code": wrong}).status_code == 200
    assert browser.get("/admin/orders/order/").status_code == 302

    TOTPDevice.objects.update(throttling_failure_timestamp=None)
    answer = browser.post(ENROL, {"code": code_of(device), "next": "/admin/orders/order/"})
    assert answer.headers["Location"] == "/admin/orders/order/"
    assert browser.get("/admin/orders/order/").status_code == 200
    assert TOTPDevice.objects.get().confirmed


def test_each_visit_of_the_enrolment_page_has_a_secret_of_its_own(browser):
    """Whoever knew the password and looked at the page before us has learnt nothing."""
    make_boss()
    thief = Client()
    give_password(thief)
    thief.get(ENROL)
    seen = TOTPDevice.objects.get()
    give_password(browser)
    browser.get(ENROL)
    assert TOTPDevice.objects.get().key != seen.key
    assert browser.post(ENROL, {"code": code_of(seen)}).status_code == 200
    assert not TOTPDevice.objects.filter(confirmed=True).exists()


def test_a_new_device_takes_the_place_of_the_old_one(browser):
    old = make_device(make_boss())
    give_password(browser)
    browser.post(CODE, {"code": code_of(old)})
    assert "replaces" in browser.get(ENROL).content.decode()
    new = TOTPDevice.objects.get(confirmed=False)
    assert browser.post(ENROL, {"code": code_of(new)}).status_code == 302
    assert TOTPDevice.objects.get() == new
    assert browser.get(HOME).status_code == 200


def test_the_session_gets_a_new_name_at_both_steps(browser):
    device = make_device(make_boss())
    browser.get(LOGIN)
    give_password(browser)
    first = browser.cookies["cardshop_admin"].value
    browser.post(CODE, {"code": code_of(device)})
    assert browser.cookies["cardshop_admin"].value != first
    stolen = Client(headers={"accept-language": "en"})
    stolen.cookies["cardshop_admin"] = first
    assert stolen.get(HOME).status_code == 302


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_next_never_leads_off_the_site(browser, target):
    device = make_device(make_boss())
    assert give_password(browser, next=target).headers["Location"] == HOME
    assert "evil" not in browser.get(LOGIN, query_params={"next": target}).headers["Location"]
    answer = browser.post(CODE, {"code": code_of(device), "next": target}, query_params={"next": target})
    assert answer.headers["Location"] == HOME


def test_next_on_the_site_is_kept_through_both_steps(browser):
    device = make_device(make_boss())
    target = "/admin/orders/order/?q=a"
    assert give_password(browser, next=target).headers["Location"] == target
    answer = browser.post(CODE, {"code": code_of(device)}, query_params={"next": target})
    assert answer.headers["Location"] == target


@pytest.mark.parametrize(("language", "words"), [("en", "Too many attempts"), ("zh-CN", "")])
def test_five_wrong_passwords_lock_the_login(language, words):
    make_boss()
    browser = Client(headers={"accept-language": language})
    for _ in range(4):
        assert give_password(browser, "wrong").status_code == 200
    for password in ("wrong", PASSWORD):
        page = give_password(browser, password)
        assert page.status_code == 429
        assert words in page.content.decode()
    assert browser.get(HOME).status_code == 302
    assert give_password(Client(REMOTE_ADDR="203.0.113.9")).status_code == 302


def test_passwords_and_codes_reach_no_log(browser, capfd, caplog):
    device = make_device(make_boss())
    give_password(browser, "CANARY-password")
    give_password(browser)
    browser.get(ENROL)
    browser.post(CODE, {"code": "987123"})
    written = caplog.text + "".join(capfd.readouterr())
    for secret in ("CANARY", PASSWORD, "987123", device.key):
        assert secret not in written


def test_the_policy_is_loosened_for_the_admin_only(browser):
    make_boss()
    policy = browser.get(LOGIN).headers["Content-Security-Policy"]
    script = next(part for part in policy.split(";") if "script-src" in part)
    assert "'unsafe-inline'" not in script
    assert "'unsafe-eval'" in script
    assert "'unsafe" not in browser.get("/").headers["Content-Security-Policy"]


def test_staff_pages_belong_to_superusers_and_show_no_secret():
    clerk = logged_in(make_clerk("auth.change_user", "otp_totp.view_totpdevice"))
    assert clerk.get("/admin/auth/user/").status_code == 403
    assert clerk.get("/admin/otp_totp/totpdevice/").status_code == 403
    boss = make_boss()
    device = make_device(make_boss("other"))
    for address in ("/admin/otp_totp/totpdevice/", f"/admin/otp_totp/totpdevice/{device.pk}/change/"):
        page = logged_in(boss).get(address)
        assert page.status_code == 200
        assert device.key not in page.content.decode()


def test_there_is_no_account_before_somebody_makes_one(browser):
    assert give_password(browser, "admin", username="admin").status_code == 200
    assert browser.get(HOME).status_code == 302


def test_a_lost_phone_can_be_forgotten(browser):
    make_device(make_boss())
    call_command("forget_second_factor", "boss")
    give_password(browser)
    assert browser.get(HOME).status_code == 200
    with pytest.raises(CommandError):
        call_command("forget_second_factor", "boss")
