"""What the environment says: settings, secrets, hosts, proxies."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.core.checks import ERROR, WARNING, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from cardshop.common.crypto import keyring
from cardshop.operations.doctor.findings import Finding, ok, problem, warning
from cardshop.operations.sealed_values import findings
from cardshop.shops.models import Shop

SHOWN = 3  # of what does not open
EVERYBODY = (ip_network("0.0.0.0/0"), ip_network("::/0"))


def in_production() -> bool:
    return bool(settings.SITE_SCHEME == "https")


def look_at_settings() -> Iterator[Finding]:
    if settings.DEBUG:
        yield problem(
            _("DEBUG is on: every error shows strangers the inside of the shop."),
            _("Set DJANGO_SETTINGS_MODULE=cardshop.settings.production."),
        )
    if not in_production():
        yield warning(
            _("These are the settings for trying the shop out on your own machine."),
            _("For a shop on the internet set DJANGO_SETTINGS_MODULE=cardshop.settings.production."),
        )
    found = [
        message
        for message in run_checks(include_deployment_checks=in_production())
        if message.level >= WARNING and not message.is_silenced()
    ]
    for message in found:
        say = problem if message.level >= ERROR else warning
        yield say(
            f"{message.msg} ({message.id})", message.hint or _("See what `manage.py check --deploy` says.")
        )
    if not found:
        yield ok(_("`manage.py check` has nothing to say against the settings."))


def look_at_secret_key() -> Iterator[Finding]:
    secret = settings.SECRET_KEY
    if len(secret) < 40 or len(set(secret)) < 5 or secret.startswith("django-insecure-"):
        yield problem(
            _("SECRET_KEY is too short or not random: passes and sessions can be forged."),
            _(
                "Set it to 50 random characters or more. Codes of prepaid balances have to be issued anew "
                "then."
            ),
        )
    else:
        yield ok(_("SECRET_KEY is long enough."))


def look_at_key_encryption() -> Iterator[Finding]:
    """Asks `sealed_values`, as `verify` does."""
    try:
        active = keyring().active
    except ImproperlyConfigured:
        yield problem(
            _("CARD_KEY_KEK is missing or has the wrong form: no card key can be opened."),
            _("Set it to id:base64 of 32 bytes; the key that the stock was imported under, if there is one."),
        )
        return
    found = list(findings())
    if found:
        yield problem(
            _("What is sealed does not open with CARD_KEY_KEK: %(what)s.")
            % {"what": "; ".join(found[:SHOWN])},
            _(
                "Put the key that it was sealed under into CARD_KEY_KEK, after a comma. Until then such "
                "keys are "
                "not delivered, nobody is shown anything wrong, and ways to pay take no money."
            ),
        )
    else:
        yield ok(_("CARD_KEY_KEK seals with %(name)s, and what is sealed opens.") % {"name": active})


def look_at_hosts() -> Iterator[Finding]:
    shops = list(Shop.objects.order_by("pk"))
    if not shops:
        yield problem(
            _("There is no shop yet, so every page is a 404."),
            _("Create one in the administration under Shops, with the host name that buyers type."),
        )
        return
    refused = [shop.host for shop in shops if not is_allowed(shop.host)]
    if refused:
        yield problem(
            _("These shops' host names are refused, since ALLOWED_HOSTS lacks them: %(hosts)s.")
            % {"hosts": ", ".join(refused)},
            _("Add them to ALLOWED_HOSTS and start the processes again."),
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield warning(
            _("ALLOWED_HOSTS is *, so anybody may name any host."),
            _("List the host names of your shops instead."),
        )
    strangers = [host for host in settings.ALLOWED_HOSTS if not _belongs(host, shops)]
    if strangers and len(shops) > 1:
        yield warning(
            _("No shop has these host names of ALLOWED_HOSTS: %(hosts)s.") % {"hosts": ", ".join(strangers)},
            _("Give them to a shop, or take them out: there is nothing but 404 under them."),
        )
    if not any(shop.is_open for shop in shops):
        yield warning(
            _("All shops are closed, so nothing is sold."),
            _("Open one in the administration under Shops when you are ready."),
        )
    if not refused:
        yield ok(_("Every shop is served under its host name: %(count)d.") % {"count": len(shops)})


def is_allowed(host: str) -> bool:
    name = host.rsplit(":", 1)[0].lower()
    return any(
        pattern == "*"
        or pattern.lower() == name
        or (pattern.startswith(".") and f".{name}".endswith(pattern.lower()))
        for pattern in settings.ALLOWED_HOSTS
    )


def _belongs(pattern: str, shops: Iterable[Shop]) -> bool:
    """To a shop; or to nobody, as addresses and the names of this machine do."""
    name = pattern.lstrip(".").strip("[]")
    if pattern == "*" or name == "localhost" or _is_address(name):
        return True
    return any(f".{shop.host.lower()}".endswith(f".{name.lower()}") for shop in shops)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def look_at_proxies() -> Iterator[Finding]:
    networks = []
    for text in settings.TRUSTED_PROXIES:
        try:
            networks.append(ip_network(text))
        except ValueError:
            yield problem(
                _("TRUSTED_PROXIES names %(network)s, which is no network.") % {"network": text},
                _("Write networks such as 10.0.0.0/8 or 127.0.0.1/32, separated by commas."),
            )
    if any(network in EVERYBODY for network in networks):
        yield problem(
            _("TRUSTED_PROXIES trusts everybody, so anybody may claim any address."),
            _("Name only the networks of your own proxies."),
        )
    elif networks:
        yield ok(
            _("Proxies are believed about the address of visitors: %(count)d.") % {"count": len(networks)}
        )
    elif in_production():
        yield warning(
            _("TRUSTED_PROXIES is empty, so every visitor seems to come from the proxy's address."),
            _(
                "Set it to the networks of what stands in front, such as 127.0.0.1/32. Otherwise one "
                "person who "
                "guesses passwords locks everybody out, and limits by address count all buyers as one."
            ),
        )
    else:
        yield ok(_("No proxy is trusted; on your own machine none is needed."))
