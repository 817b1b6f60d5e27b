"""Every change to a balance: a row that stays, written with the new amount under the balance's lock.

Whatever has a `reference` happens once for it, however often it is asked for.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from cardshop.common.inserts import insert_new
from cardshop.common.locks import lock_rows
from cardshop.common.money import display
from payments.errors import (
    BalanceRefused,
    BookedBefore,
    CreditInUse,
    NotEnoughBalance,
    OtherCurrency,
    UnknownCode,
)
from payments.ledger.codes import digest_of, new_code
from payments.models import Balance, BalanceEntry
from payments.states import EntryKind


@dataclass(frozen=True)
class Debit:
    """Money that a balance pays. `reference` makes it happen once, as everywhere."""

    balance: Balance
    amount_minor: int
    reference: str
    reason: str


@transaction.atomic(durable=True)
def open_balance(
    *,
    shop_id: int,
    holder: str,
    contact_email: str = "",
    currency: str,
    amount_minor: int,
    reference: str = "",
    reason: str,
    actor: str,
    now: datetime,
) -> tuple[Balance, str]:
    """A new balance with its first money, and its code, which nobody can be told again.

    Raises BookedBefore.
    """
    code = new_code()
    balance = Balance.objects.create(
        shop_id=shop_id,
        holder=holder,
        contact_email=contact_email,
        currency=currency,
        code_digest=digest_of(code, shop_id=shop_id),
        opened_at=now,
    )
    said = {"reference": reference, "reason": reason, "actor": actor}
    if _write(balance, amount_minor, EntryKind.CREDIT, now=now, **said) is None:
        raise BookedBefore
    return balance, code


def open_account(*, shop_id: int, holder: str, contact_email: str, currency: str, now: datetime) -> Balance:
    """A balance with nothing on it, that no code opens: whoever may spend it is known otherwise."""
    return Balance.objects.create(
        shop_id=shop_id, holder=holder, contact_email=contact_email, currency=currency, opened_at=now
    )


@transaction.atomic(durable=True)
def credit(
    balance: Balance, *, amount_minor: int, reference: str = "", reason: str, actor: str, now: datetime
) -> BalanceEntry:
    """Money that the holder has paid in. Raises BookedBefore."""
    said = {"reference": reference, "reason": reason, "actor": actor}
    if (entry := _write(_lock(balance), amount_minor, EntryKind.CREDIT, now=now, **said)) is None:
        raise BookedBefore
    return entry


@transaction.atomic(savepoint=False)
def credit_locked(balance: Balance, *, amount_minor: int, reference: str, reason: str, now: datetime) -> None:
    """Money that was paid in through a provider; the caller holds the lock. Raises BookedBefore."""
    if _write(balance, amount_minor, EntryKind.CREDIT, reference=reference, reason=reason, now=now) is None:
        raise BookedBefore


@transaction.atomic(savepoint=False)
def pay_out_locked(
    balance: Balance, *, amount_minor: int, reference: str, reason: str, now: datetime
) -> None:
    """Money that goes back to where it came from, off a balance that the caller has locked. Raises
    NotEnoughBalance rather than pay out what is owed, BookedBefore.
    """
    if balance.amount_minor < amount_minor:
        raise NotEnoughBalance
    said = {"reference": reference, "reason": reason}
    if _write(balance, -amount_minor, EntryKind.PAID_OUT, now=now, **said) is None:
        raise BookedBefore


@transaction.atomic(savepoint=False)
def put_back_locked(balance: Balance, *, reference: str, now: datetime) -> None:
    """What was paid out under this reference, if anything was, has come to nothing. Once."""
    out = BalanceEntry.objects.filter(balance=balance, kind=EntryKind.PAID_OUT, reference=reference).first()
    if out is not None:
        said = {"reference": reference, "reason": out.reason}
        _write(balance, -out.amount_minor, EntryKind.CORRECTION, now=now, **said)


@transaction.atomic(durable=True)
def correct(
    balance: Balance, *, amount_minor: int, reference: str = "", reason: str, actor: str, now: datetime
) -> BalanceEntry:
    """Put a mistake right, up or down. Raises NotEnoughBalance rather than go beyond the credit line,
    BookedBefore.
    """
    locked = _lock(balance)
    _require(locked, -amount_minor)
    said = {"reference": reference, "reason": reason, "actor": actor}
    if (entry := _write(locked, amount_minor, EntryKind.CORRECTION, now=now, **said)) is None:
        raise BookedBefore
    return entry


@transaction.atomic(durable=True)
def debit(
    *, shop_id: int, code: str, amount_minor: int, currency: str, reference: str, reason: str, now: datetime
) -> BalanceEntry:
    """Pay with it. Raises UnknownCode, OtherCurrency, NotEnoughBalance."""
    if before := payment_called(reference, shop_id=shop_id):
        return before
    found = balance_of(code, shop_id=shop_id)
    locked = _lock(found)
    # A twin of this call may have written the entry, and left too little, while this one waited.
    if before := payment_called(reference, shop_id=shop_id):
        return before
    if locked.is_frozen or locked.code_digest != found.code_digest:
        raise UnknownCode
    require_money(locked, amount_minor, currency)
    entry = _write(locked, -amount_minor, EntryKind.PAYMENT, reference=reference, reason=reason, now=now)
    return entry or BalanceEntry.objects.select_related("balance").get(
        kind=EntryKind.PAYMENT, reference=reference
    )


@transaction.atomic(savepoint=False)
def debit_all(debits: Sequence[Debit], *, now: datetime) -> list[BalanceEntry]:
    """Pay from balances that the caller has locked, one after the other; keeps `amount_minor` up to date.

    The CHECK refuses a balance that would go beyond its credit line: the caller has looked.
    """
    entries = []
    spent: Counter[int] = Counter()
    for one in debits:
        balance = one.balance
        balance.amount_minor -= one.amount_minor
        spent[balance.pk] += one.amount_minor
        entries.append(
            BalanceEntry(
                balance=balance,
                amount_minor=-one.amount_minor,
                after_minor=balance.amount_minor,
                credit_minor=balance.credit_minor,
                kind=EntryKind.PAYMENT.value,
                reference=one.reference,
                reason=one.reason,
                at=now,
            )
        )
    for balance_id, amount_minor in sorted(spent.items()):
        Balance.objects.filter(pk=balance_id).update(amount_minor=F("amount_minor") - amount_minor)
    return BalanceEntry.objects.bulk_create(entries)


@transaction.atomic(durable=True)
def give_back(
    payment: BalanceEntry, *, amount_minor: int, reference: str, reason: str, now: datetime
) -> BalanceEntry:
    """Refund a payment, or a part of it, to where it came from, frozen or not.

    Raises BalanceRefused when this `reference` stands for another refund.
    """
    locked = _lock(payment.balance)
    entry = _write(
        locked, amount_minor, EntryKind.REFUND, reference=reference, reason=reason, now=now
    ) or BalanceEntry.objects.get(kind=EntryKind.REFUND, reference=reference)
    if (entry.balance_id, entry.amount_minor) != (locked.pk, amount_minor):
        raise BalanceRefused
    return entry


def renew_code(balance: Balance) -> str:
    """A new code; the old one is worth nothing from now on."""
    code = new_code()
    Balance.objects.filter(pk=balance.pk).update(code_digest=digest_of(code, shop_id=balance.shop_id))
    return code


def set_frozen(balance: Balance, is_frozen: bool) -> bool:
    """True only for the caller who changed it."""
    others = Balance.objects.filter(pk=balance.pk, is_frozen=not is_frozen)
    return others.update(is_frozen=is_frozen) == 1


@transaction.atomic
def set_credit(balance: Balance, credit_minor: int) -> int:
    """How much an account may owe from now on; returns how much it was. Raises CreditInUse if more is owed
    already, ValueError for a balance that a code opens.
    """
    locked = _lock(balance)
    if locked.code_digest or credit_minor < 0:
        raise ValueError("only an account may owe something")
    if locked.amount_minor < -credit_minor:
        owed = display(-locked.amount_minor, locked.currency)
        raise CreditInUse(_("%s of it is owed already: the line cannot be lower than that.") % owed)
    Balance.objects.filter(pk=locked.pk).update(credit_minor=credit_minor)
    return locked.credit_minor


def balance_of(code: str, *, shop_id: int) -> Balance:
    """The one that may be spent with this code. Raises UnknownCode, and never says that one is frozen."""
    digest = digest_of(code, shop_id=shop_id)
    balance = Balance.objects.filter(shop=shop_id, code_digest=digest, is_frozen=False).first()
    if balance is None:
        raise UnknownCode
    return balance


def require_money(balance: Balance, amount_minor: int, currency: str) -> None:
    """Raises OtherCurrency, NotEnoughBalance; for whoever has shown the code."""
    if balance.currency != currency:
        raise OtherCurrency
    _require(balance, amount_minor)


def payment_called(reference: str, *, shop_id: int) -> BalanceEntry | None:
    """What was paid for the attempt of that number."""
    return (
        BalanceEntry.objects.select_related("balance")
        .filter(kind=EntryKind.PAYMENT, reference=reference, balance__shop=shop_id)
        .first()
    )


def _require(balance: Balance, amount_minor: int) -> None:
    if balance.spendable_minor < amount_minor:
        left = display(balance.spendable_minor, balance.currency)
        raise NotEnoughBalance(
            _("With its credit line, only %s of it can be spent.") % left
            if balance.credit_minor
            else _("There is only %s on it.") % left
        )


def _lock(balance: Balance) -> Balance:
    locked: Balance
    ((locked,),) = lock_rows(Balance.objects.filter(pk=balance.pk))
    return locked


def _write(
    balance: Balance,
    amount_minor: int,
    kind: EntryKind,
    *,
    reference: str,
    reason: str,
    actor: str = "",
    now: datetime,
) -> BalanceEntry | None:
    """The entry; None if there is one already of this kind and reference. `balance` is locked."""
    entry = BalanceEntry(
        balance=balance,
        amount_minor=amount_minor,
        after_minor=balance.amount_minor + amount_minor,
        credit_minor=balance.credit_minor,
        kind=kind.value,  # an enum's hash is not that of its value, by which insert_new finds the row
        reference=reference,
        reason=reason,
        actor=actor,
        at=now,
    )
    if not insert_new([entry], unique=["kind", "reference"]):
        return None
    Balance.objects.filter(pk=balance.pk).update(amount_minor=F("amount_minor") + amount_minor)
    return entry
