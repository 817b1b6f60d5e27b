"""What of alerts is sealed."""

from cardshop.alerts.models import Destination
from cardshop.common.sealed import SealedColumn

SEALED = [
    SealedColumn(
        "destinations of alerts", Destination, "sealed_secret", lambda destination: destination.secret_context
    ),
]
