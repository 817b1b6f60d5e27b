"""Tables on the merchant's pages."""

from datetime import datetime
from typing import Any

from django.template.defaultfilters import date
from django.utils.timezone import localtime


def table(title: str, headers: list[str], rows: list[list[Any]]) -> dict[str, Any]:
    """As admin/orders/story.html draws it."""
    return {"title": title, "table": {"headers": headers, "rows": rows}}


def moment(at: datetime | None) -> str:
    return date(localtime(at), "Y-m-d H:i:s") if at else "-"
