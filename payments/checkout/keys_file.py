"""The keys as a text file that every editor opens, Windows' old Notepad among them."""

from collections.abc import Sequence

from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from cardshop.common.templatetags.shopfront import localized
from orders.models import Order, OrderItem

# Without it, editors on Chinese Windows take UTF-8 for GBK. It stands before the heading, where no program
# that reads the keys line by line can take it for a part of one.
BYTE_ORDER_MARK = "\ufeff"


def keys_file(order: Order, lines: Sequence[tuple[OrderItem, Sequence[str]]]) -> bytes:
    """What was ordered, when and where, then each line of the order with its keys, one a line.

    UTF-8, lines end as on Windows.
    """
    said = [
        f"{localized(order.shop, 'name')} · " + _("Order %(number)s") % {"number": order.number},
        f"{localtime(order.placed_at):%Y-%m-%d %H:%M (UTC%z)}",
    ]
    for item, keys in lines:
        if keys:
            what = f"{localized(item, 'product_name')} · {localized(item, 'variant_name')} × {item.quantity}"
            said += ["", what, *keys]
    text = "\n".join([*said, ""]).replace("\r\n", "\n").replace("\n", "\r\n")
    return (BYTE_ORDER_MARK + text).encode()
