"""How often somebody may try something, by django-ratelimit: for what is asked seldom. Nobody counts without
Redis.
"""

from django.http import HttpRequest
from django_ratelimit.core import is_ratelimited

from cardshop.traffic.metrics import rate_limited


def is_beyond(request: HttpRequest, what: str, who: str, rate: str) -> bool:
    """Whether `who` has now tried `what` more often than `rate` allows (`10/5m`). Every try counts, also the
    right one: looking first and counting later would let a crowd through.
    """
    beyond = bool(is_ratelimited(request, group=what, key=lambda *_: who, rate=rate, increment=True))
    if beyond:
        rate_limited.labels(what).inc()
    return beyond
