"""What is counted of promises kept, and of the tasks that keep them."""

from cardshop.common.metrics import SECONDS, Counter, Histogram

# From a delivery that a buyer watches to a mail that waited for its server.
_LONG = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

kept_seconds = Histogram(
    "cardshop_outbox_seconds",
    "From the promise to its being kept; of orders.deliver: from paid to delivered.",
    ["task"],
    buckets=_LONG,
)
failures = Counter(
    "cardshop_outbox_failures",
    "Attempts that failed, and whether it is tried again (failed) or waits for a person (gave_up).",
    ["task", "outcome"],
)
tasks = Counter("cardshop_tasks", "Celery tasks that ended, and how.", ["task", "outcome"])
task_seconds = Histogram("cardshop_task_seconds", "How long Celery tasks ran.", ["task"], buckets=SECONDS)
