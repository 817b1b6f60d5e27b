"""What orders refuse, and how they say so."""

from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError


class NotForSale(DomainError):
    code = "not_for_sale"
    http_status = 404
    message = _("This is not for sale here.")


class WrongQuantity(DomainError):
    code = "wrong_quantity"
    http_status = 400
    field = "quantity"


class IdempotencyConflict(DomainError):
    """The same key came with another body. `order_token` is the order that it made before."""

    code = "idempotency_conflict"
    http_status = 409
    message = _("This form has already become an order. To order something else, open the product again.")

    def __init__(self, order_token: str) -> None:
        self.order_token = order_token
        super().__init__()


class TooManyCorrections(DomainError):
    code = "too_many_corrections"
    http_status = 429
    message = _("The e-mail of this order was changed too often. Please write to us.")
