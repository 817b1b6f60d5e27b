"""What of payments is sealed."""

from cardshop.common.sealed import SealedColumn
from payments.models import PaymentChannel

SEALED = [
    SealedColumn("ways to pay", PaymentChannel, "sealed_secret", lambda channel: channel.secret_context),
]
