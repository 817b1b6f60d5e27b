"""What is on the account, and every entry that made it so."""

from django.http import HttpRequest, HttpResponse

from payments.models import BalanceEntry
from resellers.page.door import Visit, leads_here, member_page, show
from resellers.page.paging import page_of


@leads_here
@member_page("GET", "HEAD")
def account(request: HttpRequest, visit: Visit) -> HttpResponse:
    entries = BalanceEntry.objects.filter(balance=visit.reseller.balance_id)
    context = {"section": "account", "balance": visit.reseller.balance, "page": page_of(request, entries)}
    return show(request, visit, "resellers/account.html", context)
