"""The money: what is owed, tried, received and given back, and what buyers have paid in beforehand."""

from payments.models.balance import Balance, BalanceEntry, TopUp
from payments.models.channels import PaymentChannel
from payments.models.money import Payment, PaymentAttempt, Receipt, Refund, Statement
from payments.models.notices import RefusedNotice, WebhookEvent
from payments.models.recalls import KeyRecall

__all__ = [
    "Balance",
    "BalanceEntry",
    "KeyRecall",
    "Payment",
    "PaymentAttempt",
    "PaymentChannel",
    "Receipt",
    "Refund",
    "RefusedNotice",
    "Statement",
    "TopUp",
    "WebhookEvent",
]
