"""A click on "buy" as it travels from the gate through the stream to the allocator."""

import json
from dataclasses import dataclass

from cardshop.common.ids import keyed_digest
from cardshop.traffic.passes import BuyerPass

IDEMPOTENCY_KEY = r"^[A-Za-z0-9_-]{16,64}$"
_ENCODER = json.JSONEncoder(separators=(",", ":"))  # json.dumps would make one for each click


@dataclass(frozen=True, slots=True)
class Click:
    """What a buyer wants. `ticket_id` makes its repeats one; the keys stand for buyer and address."""

    ticket_id: str
    quantity: int
    contact_email: str
    language: str
    buyer_key: str
    address_key: str

    def packed(self) -> str:
        return _ENCODER.encode(
            [
                self.ticket_id,
                self.quantity,
                self.contact_email,
                self.language,
                self.buyer_key,
                self.address_key,
            ]
        )

    @classmethod
    def unpacked(cls, text: str | bytes) -> "Click":
        return cls(*json.loads(text))


def identify(
    shop_id: int, variant_code: str, buyer: BuyerPass, *, idempotency_key: str, contact_email: str
) -> tuple[str, str]:
    """The ticket id and the buyer key of a click. Every click passes here, whatever way it came.

    Raises BadPass for a pass that was bound to another contact.
    """
    buyer.require_contact(contact_email)
    ticket_id = ticket_id_of(shop_id, variant_code, buyer.buyer_id, idempotency_key)
    return ticket_id, buyer_key_of(contact_email)


def ticket_id_of(shop_id: int, variant_code: str, buyer_id: str, idempotency_key: str) -> str:
    """Derived, not drawn: a Redis that forgot it issues the same one again."""
    return keyed_digest("ticket", str(shop_id), variant_code, buyer_id, idempotency_key)


def buyer_key_of(contact_email: str) -> str:
    """Stands for the buyer in limits; argued in docs/adr/0006."""
    return keyed_digest("buyer", contact_email.lower())
