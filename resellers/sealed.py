"""What of resellers is sealed."""

from cardshop.common.sealed import SealedColumn
from resellers.models import ApiKey

SEALED = [
    SealedColumn("API keys that sign", ApiKey, "sealed_secret", lambda key: key.secret_context),
]
