"""The page for three in the morning, for who runs the installation: what is wrong, if anything is, and the
figures behind it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cardshop.common.metrics import counted
from cardshop.common.shop_scope import sees_all
from cardshop.operations.standing import ChannelStanding, Promises, Standing, standing
from orders.admission.gate import UNBOUNDED
from orders.admission.watching import Watched
from payments.channel_health import OPERATION

Row = tuple[str, list[Any]]  # its state and its cells

UNKNOWN = "–"
FINE, LOOK, BAD = "", "look", "bad"
LATE, TOO_LATE = 30, 120  # seconds that somebody who has paid waits for a key
BEHIND, TOO_FAR_BEHIND = 60, 600  # seconds that anything else waits

TASKS = {
    "operations.mail_invitation": gettext_lazy("Mailing who was added to a shop"),
    "orders.deliver": gettext_lazy("Handing over keys"),
    "orders.deliver_isolated": gettext_lazy("Handing over keys, isolated variants"),
    "orders.serve_waiting": gettext_lazy("Handing over keys that were waited for"),
    "orders.mail_delivery": gettext_lazy("Mailing that the keys are there"),
    "orders.mail_replacement": gettext_lazy("Mailing about replaced keys"),
    "orders.mail_turn": gettext_lazy("Mailing that it is one's turn"),
    "orders.mail_lookup": gettext_lazy("Mailing the links of orders that somebody looks for"),
    "inventory.import_keys": gettext_lazy("Importing keys"),
    "inventory.undo_imports": gettext_lazy("Undoing imports"),
    "alerts.send": gettext_lazy("Sending alerts"),
    "payments.apply_notices": gettext_lazy("Providers' notices"),
    "payments.settle_receipts": gettext_lazy("Deciding what money is for"),
    "payments.credit_accounts": gettext_lazy("Crediting top-ups"),
    "payments.finish_closing": gettext_lazy("Ending unpaid orders"),
    "payments.call_off_attempts": gettext_lazy("Calling payments off"),
    "inventory.void_batch": gettext_lazy("Withdrawing keys"),
    "payments.recall_keys": gettext_lazy("Calling bad keys back"),
    "payments.cover_shortage": gettext_lazy("Making up for withdrawn keys"),
    "payments.send_refunds": gettext_lazy("Sending refunds"),
    "payments.mail_refund": gettext_lazy("Mailing about refunds"),
    "resellers.mail_log_in": gettext_lazy("Mailing codes to members of resellers"),
    "resellers.mail_welcome": gettext_lazy("Mailing who looks after a reseller's account"),
    "resellers.fill_orders": gettext_lazy("Filling resellers' orders"),
    "payments.mail_channel_changes": gettext_lazy("Mailing about changed ways to pay"),
}


def operations_page(request: HttpRequest) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": _("Right now"),
        "pools": sorted(_pools()),
        **_seen(request),
    }
    page = render(request, "admin/operations.html", context)
    page["Cache-Control"] = "no-store"
    return page


def operations_numbers(request: HttpRequest) -> JsonResponse:
    """What the page's script puts in the place of what it shows."""
    seen = _seen(request)
    body = {
        "alarms": seen["alarms"],
        "state": seen["state"],
        "words": seen["words"],
        "figures": render_to_string("admin/_operations_figures.html", seen, request),
        "pools": _pools(),
    }
    return JsonResponse(body, headers={"Cache-Control": "no-store"})


def _seen(request: HttpRequest) -> dict[str, Any]:
    if not sees_all(request):
        raise PermissionDenied
    now = standing()
    figures = _figures(now)
    tables = [_outbox(now), _lines(now), _channels(now)]
    states = {each["state"] for each in figures}
    states |= {row["state"] for table in tables for row in table["rows"]}
    alarms = list(_alarms(now))
    state = BAD if alarms or BAD in states else LOOK if LOOK in states else FINE
    words = {
        FINE: _("All is well"),
        LOOK: _("Have a look at what is marked"),
        BAD: _("Something is wrong"),
    }
    return {
        "alarms": alarms,
        "state": state,
        "words": words[state],
        "figures": figures,
        "tables": tables,
    }


def _alarms(now: Standing) -> Iterator[str]:
    if not now.has_postgresql:
        yield _(
            "PostgreSQL does not answer: nothing is sold until it does. What was acknowledged is not lost."
        )
    if not now.has_redis:
        yield _("Redis does not answer: nobody gets into a line until it does. Paying and delivering go on.")
    if now.undelivered.age > TOO_LATE:
        yield _("Somebody has paid and has no key for more than two minutes: see that the workers run.")
    for code, line in now.lines.items():
        if not line.is_served:
            yield _("No allocator serves the line of %(variant)s: who clicks gets nothing.") % {
                "variant": code
            }
    for method in _methods_without_a_channel(now.channels):
        yield _("No channel takes %(method)s payments: their providers do not answer.") % {"method": method}


def _methods_without_a_channel(channels: Iterable[ChannelStanding]) -> Iterator[str]:
    def place(seen: ChannelStanding) -> tuple[int, str]:
        return seen.channel.shop_id, seen.channel.method

    for _place, those in groupby(sorted(channels, key=place), key=place):
        of_method = list(those)
        if all(seen.left_alone["create"] for seen in of_method):
            yield str(of_method[0].channel.get_method_display())


def _figures(now: Standing) -> list[dict[str, Any]]:
    waits, attention = now.undelivered, sum(now.attention.values())
    given_up = sum(promises.given_up for promises in now.outbox.values())
    is_known = now.has_postgresql
    oldest = _("the oldest for %(time)s") % {"time": _time(waits.age)} if waits.open else ""
    return [
        _figure(
            _("Paid, without keys"),
            waits.open if is_known else None,
            oldest,
            _by_age(waits, LATE, TOO_LATE),
            reverse("admin:outbox_outboxmessage_changelist"),
        ),
        _figure(
            _("Held"),
            now.unpaid if is_known else None,
            _("not paid yet"),
            FINE,
            reverse("admin:orders_order_changelist"),
        ),
        _figure(
            _("Need a person"),
            attention if is_known else None,
            _("orders, money, refunds"),
            LOOK if attention else FINE,
            reverse("admin:attention"),
        ),
        _figure(
            _("Given up"),
            given_up if is_known else None,
            _("tasks that failed too often"),
            BAD if given_up else FINE,
            reverse("admin:outbox_outboxmessage_changelist"),
        ),
        _part("PostgreSQL", now.has_postgresql),
        _part("Redis", now.has_redis),
    ]


def _figure(label: str, count: int | None, note: str, state: str, link: str) -> dict[str, Any]:
    value = UNKNOWN if count is None else count
    return {"label": label, "value": value, "note": note, "state": state, "link": link}


def _part(name: str, answers: bool) -> dict[str, Any]:
    value = _("answering") if answers else _("away")
    return {"label": name, "value": value, "note": "", "state": FINE if answers else BAD}


def _table(title: str, headers: Sequence[str], rows: Iterable[Row], *, empty: str) -> dict[str, Any]:
    """What is wrong comes first. Each cell with its header, for phones have no room for a row of them."""
    ordered = sorted(rows, key=lambda row: (BAD, LOOK, FINE).index(row[0]))
    return {
        "title": title,
        "headers": headers,
        "rows": [
            {"state": state, "cells": list(zip(headers, cells, strict=True))} for state, cells in ordered
        ],
        "empty": empty,
    }


def _outbox(now: Standing) -> dict[str, Any]:
    return _table(
        _("Still to be done"),
        [_("what"), _("outstanding"), _("the oldest for"), _("given up")],
        [
            (
                _state_of(task, promises),
                [
                    TASKS.get(task, task),
                    promises.open,
                    _time(promises.age) if promises.open else UNKNOWN,
                    promises.given_up or UNKNOWN,
                ],
            )
            for task, promises in sorted(now.outbox.items())
        ],
        empty=_("Nothing waits to be done.") if now.has_postgresql else UNKNOWN,
    )


def _state_of(task: str, promises: Promises) -> str:
    if promises.given_up:
        return BAD
    is_delivery = task.startswith("orders.deliver")
    return _by_age(promises, *((LATE, TOO_LATE) if is_delivery else (BEHIND, TOO_FAR_BEHIND)))


def _by_age(promises: Promises, late: int, too_late: int) -> str:
    return BAD if promises.age > too_late else LOOK if promises.age > late else FINE


def _lines(now: Standing) -> dict[str, Any]:
    return _table(
        _("Waiting lines"),
        [
            _("variant"),
            _("in line"),
            _("looking"),
            _("being settled"),
            _("held"),
            _("free"),
            _("allocator"),
        ],
        [(FINE if line.is_served else BAD, _line(code, line)) for code, line in sorted(now.lines.items())],
        empty=_("No variant is sold through a line.") if now.has_postgresql and now.has_redis else UNKNOWN,
    )


def _line(code: str, line: Watched) -> list[Any]:
    gate, stand = line.gate, line.stand
    return [
        code,
        line.in_line,
        gate.present if gate else UNKNOWN,
        gate.in_stream if gate else UNKNOWN,
        stand.unpaid,
        "∞" if stand.free >= UNBOUNDED else stand.free,
        _("at work") if line.is_served else _("away"),
    ]


def _channels(now: Standing) -> dict[str, Any]:
    return _table(
        _("Ways to pay"),
        [_("channel"), _("method"), _("of those who begin, pay"), _("state")],
        [
            (
                LOOK if any(seen.left_alone.values()) else FINE,
                [
                    str(seen.channel),
                    seen.channel.get_method_display(),
                    UNKNOWN if seen.success is None else f"{seen.success:.0%}",
                    _left_alone(seen) or _("is asked as usual"),
                ],
            )
            for seen in now.channels
        ],
        empty=_("There is no way to pay.") if now.has_postgresql and now.has_redis else UNKNOWN,
    )


def _left_alone(seen: ChannelStanding) -> str:
    operations = [str(OPERATION[name]) for name, is_open in seen.left_alone.items() if is_open]
    return _("left alone: %(what)s") % {"what": ", ".join(operations)} if operations else ""


def _time(seconds: float) -> str:
    whole = round(seconds)
    if whole < 120:
        return ngettext("%(count)d second", "%(count)d seconds", whole) % {"count": whole}
    minutes = whole // 60
    return ngettext("%(count)d minute", "%(count)d minutes", minutes) % {"count": minutes}


def _pools() -> dict[str, dict[str, Any]]:
    """What each pool of web processes has answered since counting began: `requests`, of them `errors` of
    ours, and how many within so many seconds (`within`). The page makes rates of two of these.
    """
    pools: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"requests": 0.0, "errors": 0.0, "within": defaultdict(float)}
    )
    for family in counted().collect():
        for sample in family.samples:
            if sample.name == "cardshop_http_requests_total":
                pool = pools[sample.labels["pool"]]
                pool["requests"] += sample.value
                pool["errors"] += sample.value if sample.labels["status"] == "5xx" else 0
            elif sample.name == "cardshop_http_request_seconds_bucket":
                pools[sample.labels["pool"]]["within"][sample.labels["le"]] += sample.value
    return dict(pools)
