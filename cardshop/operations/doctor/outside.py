"""The shop as the world sees it: its mails, and its pages by HTTPS."""

import smtplib
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.utils.translation import gettext as _

from cardshop.common.links import absolute_url
from cardshop.operations.doctor.configuration import in_production
from cardshop.operations.doctor.findings import Finding, ok, problem, warning
from cardshop.shops.models import Shop

SMTP = "django.core.mail.backends.smtp.EmailBackend"
MOST_SHOPS = 3  # of many, the first ones speak for the others
WANTED_HEADERS = {
    "Strict-Transport-Security": "max-age=",
    "Content-Security-Policy": "frame-ancestors",
    "X-Content-Type-Options": "nosniff",
}


def look_at_mail(send_to: str = "") -> Iterator[Finding]:
    if settings.EMAIL_BACKEND != SMTP:
        yield ok(_("Mails are not sent but kept, as these settings want it."))
    try:
        connection = get_connection()
        connection.open()
        try:
            if send_to:
                _test_mail(send_to, connection).send()
        finally:
            connection.close()
    except smtplib.SMTPAuthenticationError:
        yield problem(
            _("The mail server refuses user or password."),
            _("Correct MAIL_URL: smtp://user:password@host:587, special characters as %XX."),
        )
    except smtplib.SMTPResponseException as error:
        yield problem(
            _("The mail server says no (%(code)d).") % {"code": error.smtp_code},
            _("It may want another sender: MAIL_FROM has to be an address of the account."),
        )
    except (OSError, smtplib.SMTPException) as error:
        yield problem(
            _("The mail server cannot be spoken to: %(error)s.") % {"error": type(error).__name__},
            _(
                "See that host and port in MAIL_URL are right. Many providers of servers block port 25; "
                "use 587 "
                "or smtps:// with 465."
            ),
        )
    else:
        if send_to:
            yield ok(
                _("A test mail was handed over for %(address)s: see that it arrives.") % {"address": send_to}
            )
        elif settings.EMAIL_BACKEND == SMTP:
            yield ok(_("The mail server takes mails."))


def _test_mail(send_to: str, connection: Any) -> EmailMessage:
    return EmailMessage(
        subject=_("Test mail from your shop"),
        body=_("Mails of your shop arrive. This one was sent by `manage.py doctor --send-to`."),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[send_to],
        connection=connection,
    )


def look_from_outside() -> Iterator[Finding]:
    """Calls each shop by its own name, as a buyer would, and looks at what comes back."""
    if not in_production():
        yield ok(_("Without HTTPS, as on your own machine."))
        return
    for shop in Shop.objects.filter(is_open=True).order_by("pk")[:MOST_SHOPS]:
        yield from look_at_page(absolute_url(shop, "/"))


def look_at_page(url: str) -> Iterator[Finding]:
    try:
        page = httpx.get(url, timeout=5, trust_env=False, follow_redirects=False)
    except httpx.ConnectError as error:
        if isinstance(_root(error), ssl.SSLError):
            yield problem(
                _("The certificate of %(url)s is not good for that name, or has expired.") % {"url": url},
                _("Renew it (certbot renew, or see what your proxy's log says), and reload the proxy."),
            )
        else:
            yield _unreachable(url)
        return
    except httpx.HTTPError:
        yield _unreachable(url)
        return
    if page.is_redirect and httpx.URL(page.headers["Location"]) == httpx.URL(url):
        yield problem(
            _("%(url)s sends browsers round in a circle: the shop does not hear that they come by HTTPS.")
            % {"url": url},
            _("Let the proxy in front set X-Forwarded-Proto: https."),
        )
        return
    if not page.is_success:
        yield problem(
            _("%(url)s answers %(status)d.") % {"url": url, "status": page.status_code},
            _("See that the proxy passes the host name on, and that the web processes run."),
        )
        return
    missing = [name for name, part in WANTED_HEADERS.items() if part not in page.headers.get(name, "")]
    if missing:
        yield warning(
            _("%(url)s comes without these headers: %(names)s.") % {"url": url, "names": ", ".join(missing)},
            _("The shop sends them; let the proxy in front pass them on."),
        )
    else:
        yield ok(_("%(url)s answers by HTTPS, with the headers that protect it.") % {"url": url})


def _unreachable(url: str) -> Finding:
    return warning(
        _("%(url)s cannot be reached from this machine.") % {"url": url},
        _(
            "Open it on your phone. If it opens there, this machine just cannot call itself by that name; "
            "if not, "
            "look at DNS, firewall and proxy."
        ),
    )


def _root(error: BaseException) -> BaseException:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return error
