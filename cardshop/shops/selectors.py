"""Which shop a request is for."""

from cardshop.common.errors import NotHere
from cardshop.shops.models import Shop


def shop_for_host(host: str) -> Shop:
    """The shop of that host name; with only one shop installed, that one under any host.

    `host` may have a port. Raises NotHere. ALLOWED_HOSTS has already refused strangers.
    """
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    shops = list(Shop.objects.order_by("pk")[:2])
    if len(shops) == 1:
        shop: Shop | None = shops[0]
    else:
        shop = Shop.objects.filter(host=name.lower()).first()
    if shop is None:
        raise NotHere
    return shop
