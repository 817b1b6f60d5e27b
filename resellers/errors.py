"""What the API refuses before anybody asks what for."""

from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError
from resellers.signing import BEARER, SCHEME


class NotKnown(DomainError):
    """One answer whatever is wrong with the key: which keys there are is nobody's business."""

    code = "not_authenticated"
    http_status = 401
    message = _("This key is not valid here, or the signature does not fit the request.")

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": f"{SCHEME}, {BEARER}"}


class StaleRequest(NotKnown):
    code = "stale_request"
    message = _("The time of the request is not now: please check the clock of the program.")


class Replayed(NotKnown):
    code = "replayed"
    message = _("A request with this nonce was here before. Each request needs one of its own.")


class NotFromThere(DomainError):
    code = "address_not_allowed"
    http_status = 403
    message = _("This key may not be used from this address.")


class ScopeMissing(DomainError):
    code = "scope_missing"
    http_status = 403
    message = _("This key may not do that.")

    def __init__(self, scope: str) -> None:
        self.extra = {"scope": scope}
        super().__init__()


class Suspended(DomainError):
    code = "suspended"
    http_status = 403
    message = _("This account is suspended. Please ask the shop.")


class TooManyRequests(DomainError):
    code = "too_many_requests"
    http_status = 429
    message = _("That was too often. Please wait a while.")

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__()


class KeyMissing(DomainError):
    code = "idempotency_key_missing"
    http_status = 400
    field = "Idempotency-Key"
    message = _("Send an Idempotency-Key of 8 to 64 visible characters with whatever changes something.")


class KeyReused(DomainError):
    """Whoever gets this has a bug: the same key stands for something else already."""

    code = "idempotency_key_reused"
    http_status = 422
    message = _("This Idempotency-Key came with another request before.")


class BalanceTooLow(DomainError):
    code = "not_enough_balance"
    message = _("There is not enough on the account.")

    def __init__(self, *, needed_minor: int, balance_minor: int, spendable_minor: int) -> None:
        self.extra = {
            "needed_minor": needed_minor,
            "balance_minor": balance_minor,
            "spendable_minor": spendable_minor,
        }
        super().__init__()


class PriceRose(DomainError):
    code = "price_rose"
    message = _("It costs more than you said it may.")

    def __init__(self, *, total_minor: int) -> None:
        self.extra = {"total_minor": total_minor}
        super().__init__()


class NotBuyable(DomainError):
    """For this account. `variant` says which."""

    code = "not_buyable"
    message = _("This cannot be bought by program.")

    def __init__(self, *, variant: str) -> None:
        self.extra = {"variant": variant}
        super().__init__()


class NotCancellable(DomainError):
    code = "not_cancellable"
    message = _("This order has been filled already, or ended otherwise.")
