"""Finding products by what buyers type. docs/adr/0018-search.md says why there is no index."""

import re

from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Value, When

from cardshop.shops.models import Shop
from inventory.models import Product, Variant
from inventory.selectors import listed_products

LONGEST = 60  # characters
MOST_TERMS = 5
MOST_FOUND = 60  # products; who has more before him says more

_WIDE = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}  # ASCII as Chinese keyboards may write it
_CJK = (
    "\u2e80-\u2fff\u3005-\u3007\u3040-\u318f\u31a0-\u31ff\u3400-\u9fff"
    "\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
# Chinese is written without spaces, and its names with: "980晶石" shall find "980 晶石".
_TERM = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")


def terms_of(text: str) -> list[str]:
    """What to look for: words, and stretches of Chinese. Nobody types the same punctuation twice."""
    return list(dict.fromkeys(_TERM.findall(text[:LONGEST].translate(_WIDE))))[:MOST_TERMS]


def search(shop: Shop, terms: list[str]) -> QuerySet[Product]:
    """Listed products that have every term in name, summary or the name of a variant, in either language.

    Who has them all in the name comes first; then in the shop's order.
    """
    found, in_name = listed_products(shop), Q()
    for term in terms:
        in_name &= _has(term, "name", "name_en")
        variants = Variant.objects.filter(
            _has(term, "name", "name_en"), product=OuterRef("pk"), is_active=True
        )
        found = found.filter(_has(term, "name", "name_en", "summary", "summary_en") | Exists(variants))
    rank = Case(When(in_name, then=Value(0)), default=Value(1))
    return found.order_by(rank, "position", "pk")[:MOST_FOUND]


def _has(term: str, *fields: str) -> Q:
    found = Q()
    for field in fields:
        found |= Q(**{f"{field}__icontains": term})
    return found
