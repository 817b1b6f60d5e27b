"""A module for each kind of supplier."""

from cardshop.common.crypto import CannotOpen
from suppliers.drivers.base import NotNow, Upstream
from suppliers.drivers.cardshop import CardshopUpstream
from suppliers.models import Supplier

DRIVERS = {"cardshop": CardshopUpstream}


def upstream_of(supplier: Supplier) -> Upstream:
    """Raises NotNow where the secret does not open."""
    try:
        secret = supplier.secret
    except CannotOpen:
        raise NotNow("its secret does not open: enter it again") from None
    return DRIVERS[supplier.driver](base_url=supplier.base_url, key_name=supplier.key_name, secret=secret)
