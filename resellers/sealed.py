"""What of resellers is sealed."""

from cardshop.common.sealed import SealedColumn
from resellers.models import ApiKey, IdempotentWrite, WebhookEndpoint

SEALED = [
    SealedColumn("API keys that sign", ApiKey, "sealed_secret", lambda key: key.secret_context),
    SealedColumn("webhooks", WebhookEndpoint, "sealed_secret", lambda endpoint: endpoint.secret_context),
    SealedColumn("answers to programs", IdempotentWrite, "answer", lambda write: write.answer_context),
]
