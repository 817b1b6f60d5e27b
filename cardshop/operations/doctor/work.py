"""What the shop still has to do, what it has given up, and whether money can come in."""

from collections.abc import Iterator
from datetime import timedelta

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, Max, Q
from django.utils.translation import gettext as _

from cardshop.common.clock import db_now
from cardshop.operations.doctor.findings import Finding, ok, problem, warning
from cardshop.operations.standing import standing
from cardshop.operations.verify import verify
from payments.gateways import DRIVERS, account_of, left_alone, operations_of
from payments.gateways.base import NotAsked
from payments.models import PaymentAttempt, PaymentChannel, Receipt

LATE, TOO_LATE = 120, 900  # seconds that a promise is open
LATELY = timedelta(days=2)
MANY = 10  # attempts, all in vain


def look_at_outbox() -> Iterator[Finding]:
    promises = standing().outbox
    given_up = {task: each.given_up for task, each in promises.items() if each.given_up}
    if given_up:
        yield problem(
            _("These tasks failed too often and were given up: %(tasks)s.") % {"tasks": _listed(given_up)},
            _(
                "Mend what they need (their log says what failed), then press “Try again” in the outbox "
                "of the "
                "administration."
            ),
        )
    late = {task: int(each.age) for task, each in promises.items() if each.open and each.age > LATE}
    if late:
        say = problem if max(late.values()) > TOO_LATE else warning
        yield say(
            _("These tasks wait, for so many seconds: %(tasks)s.") % {"tasks": _listed(late)},
            _("See that the workers run, and what they cannot reach: mail server, provider, broker."),
        )
    if not given_up and not late:
        waiting = sum(each.open for each in promises.values())
        yield ok(_("What is promised is done; under way: %(count)d.") % {"count": waiting})


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{task} ({number})" for task, number in sorted(numbers.items()))


def look_at_attention() -> Iterator[Finding]:
    waiting = {kind: count for kind, count in standing().attention.items() if count}
    if waiting:
        yield warning(
            _("These wait for a person: %(what)s.") % {"what": _listed(waiting)},
            _("Open “What needs you” in the administration; each has its remedy on a button."),
        )
    else:
        yield ok(_("Nothing waits for a person."))


def look_at_channels() -> Iterator[Finding]:
    """Nobody is called: what counts is what came of real payments."""
    channels = list(PaymentChannel.objects.filter(is_enabled=True).select_related("shop").order_by("pk"))
    open_shops = {channel.shop.slug for channel in channels if channel.shop.is_open}
    if not open_shops:
        yield problem(
            _("No open shop has a way to be paid."),
            _("Add one in the administration under Ways to pay: docs/channels.md."),
        )
    for channel in channels:
        yield from _incomplete(channel) or _silent(channel) or [_received(channel)]


def _incomplete(channel: PaymentChannel) -> list[Finding]:
    name = f"{channel.shop.slug}/{channel.slug}"
    remedy = _("Open it in the administration under Ways to pay, and enter what is missing.")
    driver = DRIVERS.get(channel.driver)
    if driver is None:
        return [
            problem(_("The way to pay %(name)s has a driver that there is not.") % {"name": name}, remedy)
        ]
    try:
        account = account_of(channel)
    except (NotAsked, ImproperlyConfigured, ValueError):  # ImproperlyConfigured: CARD_KEY_KEK itself
        return [
            problem(
                _("The credentials of %(name)s do not open.") % {"name": name},
                _("Put the right key into CARD_KEY_KEK, or enter them again."),
            )
        ]
    entered = {
        "merchant_id": account.merchant_id,
        "provider_key": account.provider_key,
        **account.options,
        **account.secrets,
    }
    missing = [
        setting.name for setting in driver.settings if setting.is_required and not entered.get(setting.name)
    ]
    if missing:
        said = _("The way to pay %(name)s lacks %(what)s.") % {"name": name, "what": ", ".join(missing)}
        return [problem(said, remedy)]
    return []


def _silent(channel: PaymentChannel) -> list[Finding]:
    name = f"{channel.shop.slug}/{channel.slug}"
    findings = []
    if operations := left_alone(channel):
        say = problem if len(operations) == len(operations_of(channel)) else warning
        findings.append(
            say(
                _("%(name)s does not answer, and is left alone for %(what)s.")
                % {"name": name, "what": ", ".join(sorted(operations))},
                _(
                    "It is tried again by itself. If it lasts: its state page, your account there, the "
                    "firewall."
                ),
            )
        )
    lately = PaymentAttempt.objects.filter(channel=channel, started_at__gte=db_now() - LATELY)
    said = lately.aggregate(tried=Count("pk"), paid=Count("pk", filter=Q(receipts__isnull=False)))
    if said["tried"] >= MANY and not said["paid"]:
        findings.append(
            warning(
                _("%(count)d payments were begun with %(name)s in two days, and none was paid.")
                % {"count": said["tried"], "name": name},
                _(
                    "Pay a small order yourself. Is the merchant id right, the product activated, the notify "
                    "address reachable?"
                ),
            )
        )
    return findings


def _received(channel: PaymentChannel) -> Finding:
    name = f"{channel.shop.slug}/{channel.slug}"
    last = Receipt.objects.filter(channel=channel).aggregate(last=Max("received_at"))["last"]
    if last is None:
        return ok(_("%(name)s is complete; nothing was paid through it yet.") % {"name": name})
    hours = (db_now() - last).total_seconds() // 3600
    return ok(_("%(name)s took money %(hours)d hours ago.") % {"name": name, "hours": hours})


def look_at_books() -> Iterator[Finding]:
    """`verify`, which looks at every row and asks every provider."""
    results = verify(settled=False)
    if broken := [result.name for result in results if result.findings]:
        yield problem(
            _("The books are not right: %(checks)s.") % {"checks": ", ".join(broken)},
            _("Run `manage.py verify` for every row, and ask for help with what it says."),
        )
    else:
        yield ok(_("All %(count)d checks of the books hold.") % {"count": len(results)})
