"""The WSGI application: which address belongs to which story, and one coat for every error."""

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from sandbox import (
    alipay_api,
    alipay_bill,
    cashier,
    control,
    epay_api,
    epay_v2_api,
    paypal,
    paypal_api,
    stripe_api,
    usdt_api,
    wechat_api,
)
from sandbox.callers import require_known_host, require_own_page
from sandbox.gateway import Gateway
from sandbox.web import Answer, HttpError, Request, json_answer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger("sandbox")

View = Callable[..., Answer]  # (gateway, request, **what the path names)


def faulty(view: View) -> View:
    """The view, as the api_… knobs let it be seen."""

    def seen(gateway: Gateway, request: Request, **named: str) -> Answer:
        time.sleep(gateway.board.now.api_delay_s)
        if gateway.board.take("api_error"):
            raise HttpError(HTTPStatus.INTERNAL_SERVER_ERROR, "api_error")
        answer = view(gateway, request, **named)
        if gateway.board.take("api_lost"):
            raise HttpError(HTTPStatus.INTERNAL_SERVER_ERROR, "api_lost")
        return answer

    return seen


def _faulty_each(views: Mapping[str, View]) -> dict[str, View]:
    return {method: faulty(view) for method, view in views.items()}


def own(view: View) -> View:
    """The view, for the sandbox's own pages and for programs; not for other sites' pages."""

    def seen(gateway: Gateway, request: Request, **named: str) -> Answer:
        require_own_page(request, gateway.public_url)
        return view(gateway, request, **named)

    return seen


def healthz(gateway: Gateway, request: Request) -> Answer:
    gateway.ledger.newest(limit=1)
    return json_answer({"status": "ok"})


api = faulty(epay_api.api)

PATHS: list[tuple[str, dict[str, View]]] = [
    (r"/mapi\.php", {"POST": faulty(epay_api.create)}),
    (r"/api\.php", {"GET": api, "POST": api}),
    (r"/api/pay/create", {"POST": faulty(epay_v2_api.create)}),
    (r"/api/pay/query", {"POST": faulty(epay_v2_api.query)}),
    (r"/api/pay/close", {"POST": faulty(epay_v2_api.close)}),
    (r"/api/pay/refund", {"POST": faulty(epay_v2_api.refund)}),
    (r"/api/pay/refundquery", {"POST": faulty(epay_v2_api.refund_query)}),
    (r"/api/merchant/orders", {"POST": faulty(epay_v2_api.orders)}),
    (r"/alipay/gateway\.do", {"POST": faulty(alipay_api.call), "GET": alipay_api.page}),
    (r"/alipay/bill", {"GET": faulty(alipay_bill.download)}),
    (r"/epusdt/api/v1/order/create-transaction", {"POST": faulty(usdt_api.epusdt_create)}),
    (r"/epusdt/pay/check-status/(?P<trade_id>[0-9]+)", {"GET": faulty(usdt_api.epusdt_status)}),
    (r"/bepusdt/api/v1/order/create-transaction", {"POST": faulty(usdt_api.bepusdt_create)}),
    (r"/bepusdt/api/v1/pay/info", {"POST": faulty(usdt_api.bepusdt_info)}),
    (r"/tokenpay/CreateOrder", {"POST": faulty(usdt_api.tokenpay_create)}),
    (r"/tokenpay/Query", {"GET": faulty(usdt_api.tokenpay_query)}),
    *[(path, {method: faulty(view)}) for method, path, view in wechat_api.PATHS],
    (wechat_api.LOGIN, {"GET": wechat_api.login}),
    (wechat_api.PHONE_PAGE, {"GET": wechat_api.phone_page}),
    *[(f"/stripe/v1/{path}", _faulty_each(views)) for path, views in stripe_api.PATHS.items()],
    *[(f"/paypal/{path}", _faulty_each(views)) for path, views in paypal_api.PATHS.items()],
    (f"/paypal/v1/notifications/certs/{paypal.CERTIFICATE}", {"GET": paypal_api.certificate}),
    (r"/submit\.php", {"GET": cashier.submit, "POST": cashier.submit}),
    (r"/pay/(?P<trade_no>[0-9]+)", {"GET": cashier.show_trade, "POST": own(cashier.press_button)}),
    (r"/", {"GET": cashier.front, "POST": own(cashier.turn_knobs)}),
    (r"/sandbox\.css", {"GET": cashier.stylesheet}),
    (r"/healthz", {"GET": healthz}),
    (r"/_sandbox/knobs", {"GET": control.show_knobs, "POST": own(control.turn_knobs)}),
    (r"/_sandbox/reset", {"POST": own(control.reset)}),
    (r"/_sandbox/ledger", {"GET": control.ledger}),
    (r"/_sandbox/notices", {"GET": control.notices}),
    (r"/_sandbox/refunds", {"GET": control.refunds}),
    (r"/_sandbox/trades/(?P<trade_no>[0-9]+)/pay", {"POST": own(control.pay)}),
    (r"/_sandbox/trades/(?P<trade_no>[0-9]+)/notify", {"POST": own(control.notify)}),
]
ROUTES = [(re.compile(path), views) for path, views in PATHS]


def make_app(gateway: Gateway) -> "WSGIApplication":
    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        answer = _answer(gateway, Request(environ))
        headers = {**answer.headers, "Content-Length": str(len(answer.body))}
        start_response(f"{answer.status.value} {answer.status.phrase}", list(headers.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    return app


def _answer(gateway: Gateway, request: Request) -> Answer:
    try:
        return _route(gateway, request)
    except HttpError as exc:
        return json_answer({"code": -1, "msg": exc.message}, exc.status)
    except Exception:
        # The path only: a query may hold a merchant's key.
        logger.exception("%s %s failed", request.method, request.path)
        return json_answer({"code": -1, "msg": "a bug"}, HTTPStatus.INTERNAL_SERVER_ERROR)


def _route(gateway: Gateway, request: Request) -> Answer:
    require_known_host(request, gateway.public_url)
    for path, views in ROUTES:
        if match := path.fullmatch(request.path):
            view = views.get("GET" if request.method == "HEAD" else request.method)
            if view is None:
                raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, f"only {' or '.join(views)}")
            return view(gateway, request, **match.groupdict())
    raise HttpError(HTTPStatus.NOT_FOUND, "no such address")
