"""What is counted of lines, orders and their mail."""

from cardshop.common.metrics import SECONDS, Counter, Histogram

admissions = Counter(
    "cardshop_admissions",
    "Clicks at the gate of a line: how the ticket stands (queued, held …; repeats count, too), or why not.",
    ["variant", "outcome"],
)
tickets_settled = Counter(
    "cardshop_tickets_settled",
    "Tickets settled for the first time: ordered at once, waiting in line, or refused.",
    ["variant", "outcome"],
)
line_left = Counter(
    "cardshop_line_left",
    "Tickets that waited and do not any more: ordered, refused or left.",
    ["variant", "outcome"],
)
batch_clicks = Histogram(
    "cardshop_batch_clicks",
    "Clicks settled together.",
    ["variant"],
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500),
)
batch_seconds = Histogram(
    "cardshop_batch_seconds", "How long a batch took to settle and to tell of.", ["variant"], buckets=SECONDS
)
orders = Counter("cardshop_orders", "Orders that came to a status; pending: placed, with a hold.", ["status"])
mails = Counter(
    "cardshop_mails",
    "Mails: sent, refused by the server, or failed because there was none to speak to.",
    ["outcome"],
)
