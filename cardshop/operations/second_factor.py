"""Two-step login with django-otp: codes from an app on the merchant's phone."""

from base64 import b32encode
from typing import Any

import segno
import structlog
from django import forms
from django.contrib.auth import REDIRECT_FIELD_NAME, logout
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_otp import login as otp_login
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.widgets import UnfoldAdminTextInputWidget

from cardshop.common.fresh_code import note_code

logger = structlog.get_logger(__name__)

_PENDING, _REFUSED = "enrolling_device", "codes_refused"
_MOST_REFUSED = 5  # codes in one session, as many as passwords at the login


class CodeForm(forms.Form):
    code = forms.CharField(
        label=gettext_lazy("Six-digit code"),
        max_length=7,
        widget=UnfoldAdminTextInputWidget(
            {"inputmode": "numeric", "autocomplete": "one-time-code", "autofocus": True}
        ),
    )

    def clean_code(self) -> str:
        code = str(self.cleaned_data["code"]).replace(" ", "")
        if not (len(code) == 6 and code.isascii() and code.isdigit()):
            raise forms.ValidationError(_("Enter the six digits that your app shows."))
        return code


def has_device(user: Any) -> bool:
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


@transaction.atomic
def verify_code(user: Any, code: str) -> tuple[TOTPDevice | None, str]:
    """The device that made `code`, or None and why not.

    The row stays locked meanwhile, so that of two requests with the same code only one gets in.
    """
    device = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=True).first()
    if device is None:
        return None, _("Please log in again.")
    return _verified(device, code)


def start_enrolment(request: HttpRequest) -> TOTPDevice:
    """A fresh secret for this session alone: whoever saw an earlier one has seen nothing of use."""
    TOTPDevice.objects.filter(user=request.user, confirmed=False).delete()
    device = TOTPDevice.objects.create(user=request.user, name="TOTP", confirmed=False)
    request.session[_PENDING] = device.pk
    return device


def pending_device(request: HttpRequest) -> TOTPDevice | None:
    """The device that this session is setting up."""
    return TOTPDevice.objects.filter(
        pk=request.session.get(_PENDING), user=request.user, confirmed=False
    ).first()


@transaction.atomic
def confirm_enrolment(pending: TOTPDevice, code: str) -> tuple[TOTPDevice | None, str]:
    """With the right code the device becomes its owner's only one."""
    device = TOTPDevice.objects.select_for_update().get(pk=pending.pk)
    confirmed, problem = _verified(device, code)
    if confirmed:
        confirmed.confirmed = True
        confirmed.save(update_fields=["confirmed"])
        TOTPDevice.objects.filter(user=confirmed.user).exclude(pk=confirmed.pk).delete()
        logger.info("second factor set up", user=confirmed.user_id)
    return confirmed, problem


def enter(request: HttpRequest, device: TOTPDevice) -> None:
    """From now on this session is verified, under a name that nobody has seen before."""
    request.session.pop(_PENDING, None)
    request.session.pop(_REFUSED, None)
    request.session.cycle_key()
    otp_login(request, device)
    note_code(request)


def refuse(request: HttpRequest) -> bool:
    """Count a wrong code; True if that was one too many and has ended the session.

    Whoever guesses codes in a session that was left open has to come up with the password too.
    """
    request.session[_REFUSED] = request.session.get(_REFUSED, 0) + 1
    if ended := request.session[_REFUSED] >= _MOST_REFUSED:
        logger.warning("session ended by wrong second factors", user=request.user.pk)
        logout(request)
    return bool(ended)


def safe_next(request: HttpRequest) -> str:
    """Where the visitor was going, if that is a page of this site; else the admin's first page."""
    wanted = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME, "")
    if url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return wanted
    return reverse("admin:index")


def qr_code(device: TOTPDevice) -> str:
    """The secret as a picture for the app's camera, as a data: address."""
    return segno.make(device.config_url, error="m").svg_data_uri(scale=5, border=2, light="white")


def secret_text(device: TOTPDevice) -> str:
    """The secret for typing, in groups of four."""
    text = b32encode(device.bin_key).decode()
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def _verified(device: TOTPDevice, code: str) -> tuple[TOTPDevice | None, str]:
    allowed, why = device.verify_is_allowed()
    if not allowed:
        wait = max(1, int((why["locked_until"] - timezone.now()).total_seconds()) + 1)
        return None, _("Too many wrong codes. Try again in %(seconds)d seconds.") % {"seconds": wait}
    if device.verify_token(code):
        return device, ""
    logger.warning("wrong second factor", user=device.user_id)
    return None, _("That code is wrong, too old, or was used before. Wait for the next one.")
