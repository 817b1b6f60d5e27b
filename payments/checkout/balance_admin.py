"""The merchant's pages of prepaid balances: open one, pay in, put right, freeze, give credit. A code is shown
once.

Whatever makes money, or a code that it can be spent with, takes a fresh one-time code. Freezing does not: who
has to stop something is in a hurry.
"""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.timezone import localdate
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from cardshop.common.admin import MerchantAdmin
from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.common.fresh_code import ask_for_code, has_fresh_code
from cardshop.common.money import display, to_text
from cardshop.common.shop_scope import within
from cardshop.shops.models import Shop
from orders.states import OrderStatus
from payments.checkout.balance_forms import (
    CREDIT,
    CreditForm,
    MoveForm,
    OpenForm,
    StatementForm,
    TopUpForm,
)
from payments.checkout.tables import moment, table
from payments.ledger.entries import correct, credit, open_balance, renew_code, set_credit, set_frozen
from payments.ledger.statements import Period, statement_in_words
from payments.models import Balance, BalanceEntry, TopUp
from payments.services.topping_up import ask_for_top_up, page_of

LISTED = 200
LISTED_TOP_UPS = 20


@admin.register(Balance)
class BalanceAdmin(MerchantAdmin):
    shop_path = "shop"
    told_by_name = frozenset({"holder", "contact_email"})
    list_display = ["holder", "contact_email", "amount", "currency", "is_frozen", "opened_at"]
    list_filter = ["is_frozen", "currency", "shop"]
    search_fields = ["holder", "contact_email", "=entries__reason"]
    search_help_text = gettext_lazy("Holder, e-mail, or the number of an order that was paid with it")
    fields = [("holder", "contact_email"), ("amount", "credit_line", "is_frozen"), ("shop", "opened_at")]
    readonly_fields = ["amount", "credit_line", "is_frozen", "shop", "opened_at"]
    change_form_outer_before_template = "admin/payments/balance_forms.html"
    change_form_after_template = "admin/orders/story.html"

    @admin.display(description=gettext_lazy("amount"), ordering="amount_minor")
    def amount(self, balance: Balance) -> str:
        return display(balance.amount_minor, balance.currency)

    @admin.display(description=gettext_lazy("credit line"))
    def credit_line(self, balance: Balance) -> str:
        return display(balance.credit_minor, balance.currency)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        views = {
            "move": self.move_view,
            "credit": self.credit_view,
            "top-up": self.top_up_view,
            "freeze": self.freeze_view,
            "new-code": self.new_code_view,
        }
        ours = [
            path(f"<int:pk>/{name}/", self.admin_site.admin_view(require_POST(view)), name=_url_name(name))
            for name, view in views.items()
        ]
        statement = self.admin_site.admin_view(require_GET(self.statement_view))
        ours.append(path("<int:pk>/statement.csv", statement, name=_url_name("statement")))
        return [*ours, *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Ends on the page with the code, which is drawn here and kept nowhere."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if not has_fresh_code(request):
            return ask_for_code(request)
        shops = within(request, Shop.objects.order_by("pk"))
        shop = shops.first()
        first = {"shop": shop, "currency": shop.currency if shop else ""}
        form = OpenForm(request.POST or None, initial=first, shops=shops)
        if form.is_valid():
            said = form.cleaned_data
            try:
                balance, code = open_balance(
                    shop_id=said["shop"].pk,
                    holder=said["holder"],
                    contact_email=said["contact_email"],
                    currency=said["currency"],
                    amount_minor=said["amount_minor"],
                    reference=said["reference"],
                    reason=said["reason"],
                    actor=request.user.get_username(),
                    now=db_now(),
                )
            except DomainError as refused:
                messages.warning(request, str(refused))
                return redirect("admin:payments_balance_changelist")
            balance.refresh_from_db()
            self.log_addition(request, balance, f"{self.amount(balance)}: {said['reason']}")
            return self._show_code(request, balance, code)
        context = {**self.admin_site.each_context(request), "title": _("Open a balance"), "form": form}
        return render(request, "admin/payments/open_balance.html", context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        balance = self.get_object(request, object_id) if object_id else None
        if balance and self.has_view_permission(request, balance):
            sections = [table_ for table_ in (_top_ups(balance), _entries(balance)) if table_]
            extra_context = {**(extra_context or {}), "sections": sections}
            today = localdate()
            extra_context["statement_form"] = StatementForm(
                initial={"from": today.replace(day=1), "to": today}
            )
            if self.has_change_permission(request, balance):
                extra_context["move_form"] = MoveForm(currency=balance.currency)
                if not balance.code_digest:
                    extra_context["top_up_form"] = TopUpForm(currency=balance.currency, prefix="top-up")
                    line = to_text(balance.credit_minor, balance.currency)
                    extra_context["credit_form"] = CreditForm(
                        currency=balance.currency, initial={"amount": line}, prefix="line"
                    )
        return super().changeform_view(request, object_id, form_url, extra_context)

    def move_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        balance = self._changeable(request, pk)
        if not has_fresh_code(request):
            return ask_for_code(request, back_to=_page_of(balance))
        form = MoveForm(request.POST, currency=balance.currency)
        if not form.is_valid():
            for errors in form.errors.values():
                messages.error(request, " ".join(str(error) for error in errors))
            return _back_to(balance)
        said = form.cleaned_data
        move = credit if said["kind"] == CREDIT else correct
        try:
            entry = move(
                balance,
                amount_minor=said["amount_minor"],
                reference=said["reference"],
                reason=said["reason"],
                actor=request.user.get_username(),
                now=db_now(),
            )
        except DomainError as refused:
            messages.warning(request, str(refused))
            return _back_to(balance)
        moved = display(entry.amount_minor, balance.currency)
        self.log_change(request, balance, f"{entry.get_kind_display()}: {moved}, {entry.reason}")
        messages.success(request, _("%s has been booked.") % moved)
        return _back_to(balance)

    def credit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        balance = self._changeable(request, pk)
        if balance.code_digest:
            raise Http404
        if not has_fresh_code(request):
            return ask_for_code(request, back_to=_page_of(balance))
        form = CreditForm(request.POST, currency=balance.currency, prefix="line")
        if not form.is_valid():
            messages.error(request, " ".join(map(str, form.errors["amount"])))
            return _back_to(balance)
        line = form.cleaned_data["credit_minor"]
        try:
            with transaction.atomic(durable=True):
                before = set_credit(balance, line)
                said = f"{display(before, balance.currency)} → {display(line, balance.currency)}"
                self.log_change(request, balance, _("Credit line: %s") % said)
        except DomainError as refused:
            messages.warning(request, str(refused))
            return _back_to(balance)
        messages.success(request, _("The credit line is %s.") % display(line, balance.currency))
        return _back_to(balance)

    def top_up_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Takes no code: it makes no money, it asks for some."""
        balance = self._changeable(request, pk)
        if balance.code_digest:
            raise Http404
        form = TopUpForm(request.POST, currency=balance.currency, prefix="top-up")
        if not form.is_valid():
            for errors in form.errors.values():
                messages.error(request, " ".join(map(str, errors)))
            return _back_to(balance)
        try:
            top_up = ask_for_top_up(
                balance,
                amount_minor=form.cleaned_data["amount_minor"],
                key=form.cleaned_data["reference"],
                actor=request.user.get_username(),
                now=db_now(),
            )
        except DomainError as refused:
            messages.warning(request, str(refused))
            return _back_to(balance)
        amount = display(top_up.order.total_minor, balance.currency)
        self.log_change(
            request, balance, _("Top-up of %(amount)s: %(number)s") % {"amount": amount, "number": top_up}
        )
        messages.success(request, _("Give this link to whoever pays: %s") % page_of(top_up))
        return _back_to(balance)

    def statement_view(self, request: HttpRequest, pk: int) -> HttpResponse | StreamingHttpResponse:
        balance: Balance = self.row_or_404(request, pk)
        if not self.has_view_permission(request, balance):
            raise PermissionDenied
        form = StatementForm(request.GET)
        if not form.is_valid():
            messages.error(request, _("Enter the first and the last day."))
            return _back_to(balance)
        try:
            period = Period(form.cleaned_data["from"], form.cleaned_data["to"])
        except DomainError as refused:
            messages.error(request, str(refused))
            return _back_to(balance)
        return statement_in_words(balance, period)

    def freeze_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        balance = self._changeable(request, pk)
        is_frozen = request.POST.get("frozen") == "yes"
        if not is_frozen and not has_fresh_code(request):
            return ask_for_code(request, back_to=_page_of(balance))
        said = _("It is frozen: nothing can be paid with it.") if is_frozen else _("It can be used again.")
        with transaction.atomic():
            if won := set_frozen(balance, is_frozen):
                self.log_change(request, balance, said)
        if won:
            messages.success(request, said)
        return _back_to(balance)

    def new_code_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        balance = self._changeable(request, pk)
        if not balance.code_digest:
            raise Http404
        if not has_fresh_code(request):
            return ask_for_code(request, back_to=_page_of(balance))
        with transaction.atomic(durable=True):
            code = renew_code(balance)
            self.log_change(request, balance, _("new code"))
        return self._show_code(request, balance, code)

    def _changeable(self, request: HttpRequest, pk: int) -> Balance:
        balance: Balance = self.row_or_404(request, pk)
        if not self.has_change_permission(request, balance):
            raise PermissionDenied
        return balance

    def _show_code(self, request: HttpRequest, balance: Balance, code: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": _("Code of %s") % balance.holder,
            "code": code,
            "balance": balance,
            "amount": self.amount(balance),
            "page": _page_of(balance),
        }
        response = render(request, "admin/payments/balance_code.html", context)
        response["Cache-Control"] = "no-store"
        return response


def _entries(balance: Balance) -> dict[str, Any]:
    entries = BalanceEntry.objects.filter(balance=balance).order_by("-pk")[:LISTED]
    rows = [
        [
            moment(entry.at),
            entry.get_kind_display(),
            display(entry.amount_minor, balance.currency),
            display(entry.after_minor, balance.currency),
            entry.reason,
            entry.actor or "-",
        ]
        for entry in entries
    ]
    headers = [_("at"), _("kind"), _("amount"), _("balance afterwards"), _("reason"), _("by")]
    return table(_("Entries"), headers, rows)


def _top_ups(balance: Balance) -> dict[str, Any] | None:
    """With their links, while they may still be paid; None where there are none."""
    newest = TopUp.objects.filter(balance=balance).select_related("order__shop").order_by("-pk")
    rows = [
        [
            moment(top_up.order.placed_at),
            format_html(
                '<a href="{}">{}</a>',
                reverse("admin:orders_order_change", args=[top_up.order_id]),
                top_up.order.number,
            ),
            display(top_up.order.total_minor, balance.currency),
            top_up.order.get_status_display(),
            page_of(top_up) if top_up.order.status == OrderStatus.PENDING else "-",
            top_up.asked_by,
        ]
        for top_up in newest[:LISTED_TOP_UPS]
    ]
    headers = [_("at"), _("order"), _("amount"), _("status"), _("link"), _("by")]
    return table(_("Top-ups"), headers, rows) if rows else None


def _page_of(balance: Balance) -> str:
    return reverse("admin:payments_balance_change", args=[balance.pk])


def _back_to(balance: Balance) -> HttpResponse:
    return redirect(_page_of(balance))


def _url_name(name: str) -> str:
    return f"payments_balance_{name.replace('-', '_')}"
