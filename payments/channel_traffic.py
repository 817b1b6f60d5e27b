"""Why payments go where they go: what the router knows of a channel and of the others of its method."""

from collections.abc import Sequence
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from cardshop.common.clock import db_now
from payments.models import PaymentChannel
from payments.routing.showing import ChannelSeen, Point, snapshot_for_people

WIDTH, HEIGHT, BASE = 960, 120, 96


def traffic(channel: PaymentChannel) -> dict[str, Any]:
    """A section of the channel's page: the method's channels beside each other, and this one over time."""
    seen = snapshot_for_people(channel.shop, now=db_now()).get(channel.method, [])
    ours = next((each for each in seen if each.channel.pk == channel.pk), None)
    return {
        "title": _("Of %(method)s payments") % {"method": channel.get_method_display()},
        "note": _(
            "Of those who begin to pay, how many do pay, as far as it is known by now; payments go mostly"
            " where more do. A channel that is tried seldom is known less well."
        ),
        "table": {
            "headers": [
                _("channel"),
                _("pay"),
                _("between"),
                _("payments known"),
                _("share in the last hour"),
            ],
            "rows": [_row(each) for each in seen],
        },
        "chart": chart(ours.history) if ours and any(map(_is_any, ours.history)) else "",
    }


def _row(seen: ChannelSeen) -> list[str]:
    name = str(seen.channel)
    if not seen.channel.is_enabled:
        name = _("%(name)s (disabled)") % {"name": name}
    elif seen.channel.is_pinned:
        name = _("%(name)s (pinned)") % {"name": name}
    is_known = seen.trials >= 1
    return [
        name,
        f"{seen.rate:.0%}" if is_known else "-",
        f"{seen.low:.0%} – {seen.high:.0%}" if is_known else "-",
        f"{seen.trials:.0f}",
        f"{seen.share:.0%}",
    ]


def chart(points: Sequence[Point]) -> SafeString:
    """Four hours in bars of five minutes: begun in grey, of them paid in green, failed at once in red."""
    most = max((point.sent + point.errors for point in points), default=0) or 1
    step = WIDTH / max(1, len(points))
    bars = [
        (f"{at * step + 1:.1f}", f"{BASE - height:.1f}", f"{step - 2:.1f}", f"{height:.1f}", colour)
        for at, point in enumerate(points)
        for height, colour in _bars(point, BASE / most)
    ]
    rects = format_html_join("", '<rect x="{}" y="{}" width="{}" height="{}" fill="{}"/>', bars)
    hours = format_html_join(
        "",
        '<text x="{}" y="114" font-size="12" fill="currentColor">{}</text>',
        (
            (f"{at * step:.0f}", f"{localtime(point.begins):%H:%M}")
            for at, point in enumerate(points)
            if at % 12 == 0
        ),
    )
    label = _("Payments begun, paid and failed in the last four hours")
    return format_html(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}" width="100%">{}{}</svg>',
        WIDTH,
        HEIGHT,
        label,
        rects,
        hours,
    )


def _is_any(point: Point) -> bool:
    return point.sent + point.errors > 0


def _bars(point: Point, scale: float) -> list[tuple[float, str]]:
    return [
        ((point.sent + point.errors) * scale, "#c0392b"),
        (point.sent * scale, "#9aa3b2"),
        (point.paid * scale, "#1e8e5a"),
    ]
