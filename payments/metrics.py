"""What is counted of providers and of money."""

from cardshop.common.metrics import SECONDS, Counter, Histogram

provider_calls = Counter(
    "cardshop_provider_calls",
    "Calls to providers: answered, refused (a no), failed, unreachable; not made: breaker_open, no_place.",
    ["channel", "operation", "outcome"],
)
provider_seconds = Histogram(
    "cardshop_provider_seconds",
    "How long calls took that were made.",
    ["channel", "operation"],
    buckets=SECONDS,
)
notices = Counter(
    "cardshop_notices",
    "Providers' notices as they come (stored, repeated, bad, cannot_tell), and later what they meant"
    " (applied, not_paid, denied).",
    ["channel", "outcome"],
)
refunds = Counter(
    "cardshop_refunds", "Refunds: requested, done, or failed at the provider.", ["channel", "outcome"]
)
