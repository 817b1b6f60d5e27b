"""What the gateway in front of us is told (deploy/nginx/nginx.conf)."""

import time

# In front of the other header: one more second for all but the one whose request asks anew.
WHILE_ASKING = "stale-while-revalidate=1"


def for_this_second() -> dict[str, str]:
    """The header by which the gateway may give this answer to others until the second is over.

    By "1" nginx, which counts whole seconds, would mean up to two.
    """
    return {"X-Accel-Expires": f"@{int(time.time())}"}
