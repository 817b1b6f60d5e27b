"""The merchant's live page of a sale: what is going on, in figures that are read every two seconds."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.formats import date_format, number_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from unfold.admin import ModelAdmin

from cardshop.common.clock import db_now
from inventory.models import Selling
from orders.admission.gate import UNBOUNDED
from orders.admission.watching import LOOKED_AT, Watched, watch
from orders.models import Sale, Wave

UNKNOWN = "–"


def sale_page(request: HttpRequest, model_admin: ModelAdmin, sale: Sale) -> HttpResponse:
    now = db_now()
    context = {
        **model_admin.admin_site.each_context(request),
        "title": str(sale.variant),
        "opts": model_admin.opts,
        "sale": sale,
        "may_change": model_admin.has_change_permission(request, sale),
        "waves": [_told(wave) for wave in Wave.objects.filter(sale=sale)],
        "version": _version(sale),
        **_told_moment(sale, watch(sale, now=now), now),
    }
    page = render(request, "admin/orders/sale_live.html", context)
    page["Cache-Control"] = "no-store"
    return page


def sale_numbers(sale: Sale) -> JsonResponse:
    """What the page's script puts in the place of what it shows. Another `version` is another page."""
    now = db_now()
    seen = watch(sale, now=now)
    told = _told_moment(sale, seen, now)
    figures = [figure for group in told.pop("groups") for figure in group["figures"]]
    sample = {
        "arrivals": seen.gate.arrivals if seen.gate else None,
        "sold": seen.stand.sold,
        "held": seen.stand.unpaid,
    }
    body = {**told, "version": _version(sale), "figures": figures, "sample": sample}
    return JsonResponse(body, headers={"Cache-Control": "no-store"})


def state_of(sale: Sale, now: datetime) -> str:
    """In a word or two."""
    if sale.is_paused:
        return _("paused")
    if sale.closes_at and now >= sale.closes_at:
        return _("over")
    if sale.opens_at and now < sale.opens_at:
        registers = sale.registration_opens_at and now >= sale.registration_opens_at
        return _("open for registration") if registers else _("not open yet")
    return _("under way")


def _version(sale: Sale) -> str:
    """Changes when a button or a wave has changed, and so more than figures."""
    waves = Wave.objects.filter(sale=sale).values_list("pk", "quantity", "opens_at", "released_at")
    return " ".join(map(str, [sale.is_paused, *(part for wave in waves for part in wave)]))


def _told_moment(sale: Sale, seen: Watched, now: datetime) -> dict[str, Any]:
    return {
        "state": state_of(sale, now),
        "alarms": list(_alarms(sale, seen)),
        "groups": _groups(seen),
        "shares": _shares(seen),
    }


def _alarms(sale: Sale, seen: Watched) -> Iterable[str]:
    if sale.variant.selling != Selling.QUEUED:
        yield _(
            "This variant is sold directly: nobody comes through the line. Its page lets you change that."
        )
    if not seen.needs_serving:
        return
    if not seen.is_redis_there:
        yield _(
            "Redis does not answer. Nobody can come in until it does; paying and delivering go on, and"
            " nothing is lost."
        )
    elif seen.gate is None:
        yield _("The gate is not open: the allocator sets it up as soon as it runs.")
    if not seen.is_served:
        command = "manage.py allocate --isolated" if sale.variant.is_isolated else "manage.py allocate"
        yield _("No allocator serves this line: nobody gets anything until %(command)s runs.") % {
            "command": command
        }


def _groups(seen: Watched) -> list[dict[str, Any]]:
    stand, gate = seen.stand, seen.gate
    line_cap = "" if stand.line_cap >= UNBOUNDED else _("at most %(count)s") % {"count": _n(stand.line_cap)}
    present = ngettext(
        "%(count)s of them is looking", "%(count)s of them are looking", gate.present if gate else 0
    )
    if seen.in_line > LOOKED_AT:
        present = _("%(count)s of the first 1,000 are looking")
    return [
        {
            "title": _("At the gate"),
            "figures": [
                _figure("arrivals", _("Clicks"), gate.arrivals if gate else None, _("repeats not counted")),
                _figure("admitted", _("Let in"), gate.admitted if gate else None, _("units")),
                _figure("in_stream", _("Being settled"), gate.in_stream if gate else None, _("tickets")),
                _figure("registered", _("Registered"), seen.registered, _("before the opening")),
            ],
        },
        {
            "title": _("Stock"),
            "figures": [
                _figure("sold", _("Sold"), stand.sold, _("paid for")),
                _figure("held", _("Held"), stand.unpaid, _("not paid yet")),
                _figure("free", _("Free"), stand.free, _("open for sale")),
                _figure("to_come", _("In waves"), stand.to_come, _("still to come")),
            ],
        },
        {
            "title": _("Line"),
            "figures": [
                _figure("waiting", _("Units waited for"), stand.waiting, line_cap),
                _figure(
                    "in_line",
                    _("Tickets in line"),
                    seen.in_line,
                    present % {"count": _n(gate.present)} if gate else "",
                ),
                {
                    "key": "conversion",
                    "label": _("Paid of what was held"),
                    "value": f"{seen.paid / seen.held:.0%}" if seen.held else UNKNOWN,
                    "note": _("%(paid)s of %(held)s orders") % {"paid": _n(seen.paid), "held": _n(seen.held)},
                },
                {
                    "key": "rate",
                    "label": _("Allocator"),
                    "value": _("at work") if seen.is_served else _("away"),
                    "note": _("%(rate)s tickets/s, epoch %(epoch)s")
                    % {"rate": _n(round(gate.rate)), "epoch": gate.epoch}
                    if gate
                    else "",
                },
            ],
        },
    ]


def _shares(seen: Watched) -> dict[str, float]:
    """Sold and held in percent of what was released, for the bar."""
    stand = seen.stand
    released = stand.claimed + stand.free
    if stand.free >= UNBOUNDED or released <= 0:
        return {"sold": 0, "held": 0}
    return {
        "sold": round(100 * stand.sold / released, 2),
        "held": round(100 * stand.unpaid / released, 2),
    }


def _figure(key: str, label: str, count: int | None, note: str) -> dict[str, str]:
    return {"key": key, "label": label, "value": UNKNOWN if count is None else _n(count), "note": note}


def _n(count: int) -> str:
    return "∞" if count >= UNBOUNDED else str(number_format(count, use_l10n=True, force_grouping=True))


def _told(wave: Wave) -> dict[str, Any]:
    when = _("by button") if wave.opens_at is None else _moment(wave.opens_at)
    if wave.released_at is None:
        what = ""
    elif wave.released < wave.quantity:
        what = _("%(count)s released at %(moment)s: there were no more keys") % {
            "count": _n(wave.released),
            "moment": _moment(wave.released_at),
        }
    else:
        what = _("released at %(moment)s") % {"moment": _moment(wave.released_at)}
    release = reverse("admin:orders_sale_release", args=[wave.sale_id, wave.pk])
    return {"quantity": _n(wave.quantity), "when": when, "what": what, "release": release}


def _moment(at: datetime) -> str:
    return str(date_format(localtime(at), "DATETIME_FORMAT"))
