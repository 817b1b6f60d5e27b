"""What all views for programs share: who calls, what for, how often, and one coat for every error."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cardshop.shops.models import Shop
from cardshop.traffic.buckets import Bucket, Taken
from cardshop.traffic.metrics import rate_limited
from resellers.api.authentication import ApiKeyAuthentication, resellers_key
from resellers.api.problems import problem_response
from resellers.errors import ScopeMissing, TooManyRequests
from resellers.models import ApiKey, Proof, Reseller

CALLS = "calls"


class HasScope(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        """Raises ScopeMissing."""
        asked = cast(ProgramApiView, view)
        scope = asked.scope if request.method in SAFE_METHODS else asked.scope_to_write
        if scope not in key_of(request).scopes:
            raise ScopeMissing(scope)
        return True


class ProgramApiView(APIView):
    """`scope` is what the key needs to look, `scope_to_write` for all else. Each key has a bucket of its own;
    without Redis nobody counts.
    """

    permission_classes = [HasScope]
    scope = ""
    scope_to_write = ""
    _taken: Taken | None = None

    def find_key(self, shop: Shop, name: str, proof: Proof) -> ApiKey | None:
        """Of those that are let in. See `authentication.FindKey`."""
        raise NotImplementedError

    def body_digest(self, request: HttpRequest) -> str:
        """The hexadecimal SHA-256 of the body that has to be signed."""
        return sha256(request.body).hexdigest()

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [ApiKeyAuthentication(self.find_key, self.body_digest)]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self._taken = calls().take(key_of(request).name)
        if self._taken is not None and not self._taken.allowed:
            rate_limited.labels(CALLS).inc()
            raise TooManyRequests(self._taken.retry_after)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response.headers.setdefault("Cache-Control", "private, no-store")
        if self._taken:
            bucket = calls()
            window = round(bucket.burst / bucket.per_second)
            response["RateLimit-Policy"] = f'"{CALLS}";q={bucket.burst};w={window}'
            response["RateLimit"] = f'"{CALLS}";r={self._taken.remaining};t={self._taken.full_in}'
        return super().finalize_response(request, response, *args, **kwargs)

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return problem_response


class ResellerApiView(ProgramApiView):
    def find_key(self, shop: Shop, name: str, proof: Proof) -> ApiKey | None:
        return resellers_key(shop, name, proof)


def calls() -> Bucket:
    return Bucket(CALLS, settings.RESELLER_CALLS_PER_SECOND, settings.RESELLER_CALLS_AT_ONCE)


def key_of(request: Request) -> ApiKey:
    """That the caller has shown."""
    return cast(ApiKey, request.auth)


def reseller_of(request: Request) -> Reseller:
    return cast(Reseller, key_of(request).reseller)
