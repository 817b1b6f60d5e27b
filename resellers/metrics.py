"""What is counted of webhooks."""

from cardshop.common.metrics import Counter

webhooks = Counter(
    "cardshop_webhooks",
    "Calls to webhooks: delivered, failed and tried again, or given up.",
    ["outcome"],
)
