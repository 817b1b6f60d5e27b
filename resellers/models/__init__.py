"""Who buys by program, with which keys and people, at what price; what they asked for, where it is told."""

from resellers.models.accounts import BEARER_SCOPES, ApiKey, MerchantScope, Proof, Reseller, Scope
from resellers.models.claims import Claim
from resellers.models.event import Event, EventKind, Feed, Told
from resellers.models.members import LogIn, MemberRole, MemberSession, ResellerMember
from resellers.models.orders import AskedStatus, ResellerOrder
from resellers.models.prices import OnwardPrice, PriceList, PriceTier
from resellers.models.webhook import WebhookDelivery, WebhookEndpoint
from resellers.models.writes import IdempotentWrite

__all__ = [
    "BEARER_SCOPES",
    "ApiKey",
    "AskedStatus",
    "Claim",
    "Event",
    "EventKind",
    "Feed",
    "IdempotentWrite",
    "LogIn",
    "MemberRole",
    "MemberSession",
    "MerchantScope",
    "OnwardPrice",
    "PriceList",
    "PriceTier",
    "Proof",
    "Reseller",
    "ResellerMember",
    "ResellerOrder",
    "Scope",
    "Told",
    "WebhookDelivery",
    "WebhookEndpoint",
]
