"""What people see: the pay page with its two buttons, and the front page with trades and knobs."""

from http import HTTPStatus

from sandbox import epay_api, pages
from sandbox.gateway import Gateway
from sandbox.knobs import BadKnob, from_form
from sandbox.ledger import Status, Trade
from sandbox.web import Answer, HttpError, Request, redirect

SECURITY = {
    "Content-Type": "text/html; charset=utf-8",
    # No form-action: browsers apply it to the redirect after the form, too, which leads to a shop.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'",
    # Not no-referrer: under it browsers say "Origin: null" with the sandbox's own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}
STYLESHEET = {"Content-Type": "text/css; charset=utf-8", "Cache-Control": "max-age=3600"}
RECENT = 20


def show_trade(gateway: Gateway, request: Request, trade_no: str) -> Answer:
    trade = _trade(gateway, trade_no)
    if trade is None:
        return _problem(request, HTTPStatus.NOT_FOUND, "no such trade")
    if not trade.is_scanned:
        gateway.ledger.scan(trade_no)
    leads_to = gateway.return_url(trade) if _can_return(trade) else None
    return _page(pages.pay_page(trade, back=leads_to, lang=_lang(request)))


def press_button(gateway: Gateway, request: Request, trade_no: str) -> Answer:
    trade = _trade(gateway, trade_no)
    if trade is None:
        return _problem(request, HTTPStatus.NOT_FOUND, "no such trade")
    action = request.form.get("action")
    if action == "pay":
        gateway.pay(trade_no)  # the second press finds it paid, and returns like the first
        trade = _trade(gateway, trade_no) or trade
    elif action != "decline":
        return _problem(request, HTTPStatus.BAD_REQUEST, "action: pay or decline")
    if not trade.bill.return_url:
        return redirect(_same_lang(f"/pay/{trade_no}", request))
    return redirect(gateway.return_url(trade) if trade.status is not Status.UNPAID else trade.bill.return_url)


def submit(gateway: Gateway, request: Request) -> Answer:
    """submit.php, whose errors are for the buyer's eyes."""
    try:
        return epay_api.submit(gateway, request)
    except epay_api.Rejected as exc:
        return _problem(request, HTTPStatus.BAD_REQUEST, exc.message)
    except HttpError as exc:
        return _problem(request, exc.status, exc.message)


def front(gateway: Gateway, request: Request) -> Answer:
    return _page(_front(gateway, request))


def turn_knobs(gateway: Gateway, request: Request) -> Answer:
    """The front page's form; `reset` is its other button."""
    form = dict(request.form)
    if form.pop("reset", None):
        gateway.board.turn_back()
    else:
        try:
            gateway.board.turn(from_form(form))
        except BadKnob as exc:
            return _page(_front(gateway, request, problem=str(exc)), HTTPStatus.BAD_REQUEST)
    gateway.sender.look_again()
    return redirect(_same_lang("/", request))


def stylesheet(gateway: Gateway, request: Request) -> Answer:
    return Answer(pages.CSS, headers=STYLESHEET)


def _front(gateway: Gateway, request: Request, *, problem: str = "") -> str:
    return pages.front_page(
        gateway.ledger.newest(limit=RECENT),
        gateway.board.as_json(),
        problem=problem,
        lang=_lang(request),
    )


def _trade(gateway: Gateway, trade_no: str) -> Trade | None:
    trade = gateway.ledger.trade(trade_no)
    return trade if trade and gateway.knows(trade) else None


def _can_return(trade: Trade) -> bool:
    return trade.status is not Status.UNPAID and bool(trade.bill.return_url)


def _page(html: str, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Answer(html.encode(), status, SECURITY)


def _problem(request: Request, status: HTTPStatus, message: str) -> Answer:
    return _page(pages.problem_page(message, lang=_lang(request)), status)


def _lang(request: Request) -> pages.Lang:
    return pages.choose_lang(request.lang, request.languages)


def _same_lang(path: str, request: Request) -> str:
    return f"{path}?lang={_lang(request)}" if request.lang else path
