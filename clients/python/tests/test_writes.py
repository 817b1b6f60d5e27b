"""What changes something is sent with a key, and happens once."""

import pytest
from cardshop_client import Cardshop, Refused


def test_a_claim_is_made_once_and_stands_in_the_list(shop: Cardshop, variant: str, key: str):
    order = shop.order({variant: 1}, idempotency_key=key)
    (dead,) = order.keys[variant]

    claim = shop.claim(order.number, dead, "used up", idempotency_key=key)

    assert shop.claim(order.number, dead, "used up", idempotency_key=key) == claim
    assert (claim.order, claim.status) == (order.number, "open")
    assert [each for each in shop.claims() if each.order == order.number] == [claim]


def test_a_webhook_is_made_once_paused_resumed_and_removed(shop: Cardshop, key: str):
    url = "https://example.org/hook"
    made = shop.make_webhook(url, ["order.delivered"], idempotency_key=key)

    assert shop.make_webhook(url, ["order.delivered"], idempotency_key=key) == made
    assert made.secret
    with pytest.raises(Refused) as refused:
        shop.make_webhook(url, ["order.paid"], idempotency_key=key)
    assert refused.value.code == "idempotency_key_reused"
    assert shop.pause_webhook(made.key).paused_at is not None
    assert shop.resume_webhook(made.key).paused_at is None
    shop.remove_webhook(made.key)
    assert made.key not in [each.key for each in shop.webhooks()]
