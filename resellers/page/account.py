"""What is on the account, every entry that made it so, a statement of them, and the way to pay in."""

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils.timezone import localdate

from cardshop.common.errors import DomainError
from orders.states import OrderStatus
from payments.ledger.statements import Period, statement_in_words
from payments.models import BalanceEntry, TopUp
from payments.services.topping_up import ask_for_top_up
from resellers.page.door import Visit, leads_here, member_page, new_form, see_other, show
from resellers.page.forms import StatementForm, TopUpForm
from resellers.page.paging import page_of

OPEN_SHOWN = 5


@leads_here
@member_page("GET", "HEAD")
def account(request: HttpRequest, visit: Visit) -> HttpResponse:
    return _page(request, visit)


@member_page("POST")
def pay_in(request: HttpRequest, visit: Visit) -> HttpResponse:
    """To the page where it is paid, which is the buyers' own; sent twice, the form leads to the same."""
    visit.require_owner()
    form = TopUpForm(request.POST, currency=visit.reseller.balance.currency)
    if not form.is_valid():
        return _page(request, visit, wrong_amount=form.errors.get("amount") or form.errors["form"])
    try:
        top_up = ask_for_top_up(
            visit.reseller.balance,
            amount_minor=form.cleaned_data["amount"],
            key=f"page-{form.cleaned_data['form']}",
            actor=visit.member.acts_as,
            now=visit.now,
        )
    except DomainError as refused:
        return _page(request, visit, wrong_amount=[str(refused)])
    return see_other(reverse("order", args=[top_up.order.token]))


@member_page("GET", "HEAD")
def statement(request: HttpRequest, visit: Visit) -> HttpResponse | StreamingHttpResponse:
    form = StatementForm(request.GET)
    if not form.is_valid():
        return _page(request, visit, wrong_period=[error for each in form.errors.values() for error in each])
    try:
        period = Period(form.cleaned_data["from"], form.cleaned_data["to"])
    except DomainError as refused:
        return _page(request, visit, wrong_period=[str(refused)])
    return statement_in_words(visit.reseller.balance, period)


def _page(
    request: HttpRequest,
    visit: Visit,
    *,
    wrong_amount: Sequence[object] = (),
    wrong_period: Sequence[object] = (),
) -> HttpResponse:
    balance, today = visit.reseller.balance, localdate()
    unpaid = TopUp.objects.filter(balance=balance, order__status=OrderStatus.PENDING)
    context = {
        "section": "account",
        "balance": balance,
        "page": page_of(request, BalanceEntry.objects.filter(balance=balance)),
        "unpaid": unpaid.select_related("order").order_by("-pk")[:OPEN_SHOWN],
        "form": request.POST.get("form") or new_form(),
        "amount": request.POST.get("amount", ""),
        "wrong_amount": wrong_amount,
        "since": request.GET.get("from") or today.replace(day=1).isoformat(),
        "until": request.GET.get("to") or today.isoformat(),
        "wrong_period": wrong_period,
    }
    status = 400 if wrong_amount or wrong_period else 200
    return show(request, visit, "resellers/account.html", context, status=status)
