"""A merchant at the admin, for tests."""

import time

from django.contrib.auth.models import Permission, User
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from cardshop.common.clock import db_now
from cardshop.shops.models import Membership, Role, Shop

PASSWORD = "correct-horse-battery"


def make_boss(username: str = "boss") -> User:
    return User.objects.create_superuser(username, f"{username}@example.org", PASSWORD)


def make_member(shop: Shop, role: str = Role.OWNER, *, username: str = "") -> User:
    """Staff of the shop."""
    username = username or f"{role}-of-{shop.slug}"
    user = User.objects.filter(username=username).first() or User.objects.create_user(
        username, f"{username}@example.org", PASSWORD, is_staff=True
    )
    Membership.objects.create(shop=shop, user=user, role=role, since=db_now())
    return user


def make_clerk(*permissions: str, username: str = "clerk", shop: Shop | None = None) -> User:
    """Staff of a shop with just these permissions, each `app.codename`; of no shop while there is none."""
    clerk = User.objects.create_user(username, f"{username}@example.org", PASSWORD, is_staff=True)
    if shop := shop or Shop.objects.order_by("pk").first():
        Membership.objects.create(shop=shop, user=clerk, role=Role.CUSTOM, since=db_now())
    for name in permissions:
        app, codename = name.split(".")
        clerk.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return clerk


def logged_in(user: User) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(user, backend="cardshop.shops.backend.MemberBackend")
    return client


def make_device(user: User, *, confirmed: bool = True) -> TOTPDevice:
    return TOTPDevice.objects.create(user=user, name="TOTP", confirmed=confirmed)


def code_of(device: TOTPDevice, *, steps: int = 0) -> str:
    """What the app shows now, or `steps` half minutes later."""
    totp = TOTP(device.bin_key, device.step, device.t0, device.digits)
    totp.time = time.time() + steps * device.step
    return f"{totp.token():06d}"


def confirmed(user: User) -> Client:
    """Logged in with password and code, the code just now."""
    device = make_device(user)
    client = logged_in(user)
    entered = client.post("/admin/code/", {"code": code_of(device)})
    assert entered.status_code == 302
    return client


def let_code_age(client: Client, seconds: float) -> None:
    """As if the code had been entered so many seconds earlier."""
    session = client.session
    session["code_passed_at"] -= seconds
    session.save()
