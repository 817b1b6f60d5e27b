"""What the gateway in front of us is told (deploy/nginx/nginx.conf)."""

import time


def for_this_second() -> dict[str, str]:
    """The header by which the gateway may give this answer to others until the second is over.

    By "1" nginx, which counts whole seconds, would mean up to two.
    """
    return {"X-Accel-Expires": f"@{int(time.time())}"}
