"""Reasons are stored as the services wrote them; here they become words in the merchant's language."""

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from orders.services.replacing import REPLACED
from payments.models import Receipt
from payments.services.refunds import ASKED_FOR
from payments.services.resolving import DEALT_WITH

# What the history and the reasons for attention may hold: here for the translators to find.
KNOWN = (
    _("buyer"),
    _("provider"),
    _("system"),
    _("placed"),
    _("contact e-mail corrected"),
    _("cancelled by the buyer"),
    _("not paid in time"),
    _("no money came"),
    _("money received"),
    _("late money"),
    _("paid twice"),
    _("keys handed over"),
    _("filled in by hand"),
    _("partly filled in by hand"),
    _("what was filled in was replaced"),
    _("not filled in by the time that was promised: fill it in, or refund it"),
    _("credited to the account"),
    _("no complaint"),
    _("delivery asked for again"),
    _("mail asked for again"),
    _("look-up password set"),
    _("provider asked by hand"),
    _("dealt with"),
    _("refunded"),
    _("money refunded"),
    _("refund asked for"),
    _("refund declined"),
    _("refund sent again"),
    _("the provider refused the refund: see why, then try again or send the money by hand"),
    _("the provider's statement does not have this money: ask the provider"),
    _("the statement has refunds that were not made here: look at the provider"),
    _("refunds of ours are not in the statement: ask the provider"),
    _("the statement could not be read for a day: see why, and mend the way to pay"),
    _("nobody knows whether the provider has refunded this: look there, then say so here"),
    _("this refund has come to no end for hours: see the last error, and mend the way to pay"),
    _("paid, but there are fewer keys than the counter promised: import keys, then deliver"),
    _("paid, but its keys cannot be opened: put CARD_KEY_KEK right or import others, then deliver"),
    _("delivered, but a damaged key was found on the way and withdrawn: look at its batch"),
    _("its keys were bad, and its money could not be sent back by itself: refund it or replace them"),
    _("there are no more keys to replace them with: import some, then go on"),
    _("keys replaced"),
    _("it did not open"),
    _("a delivered key does not open: put CARD_KEY_KEK right, or replace the key"),
    _("all keys of the order open again"),
    _("the keys that were held for it have been withdrawn"),
    _("a reseller says that a key of it is dead: see the claim, then replace, refund or decline"),
    _("its supplier did not have it, and its money could not be sent back: refund it, or fill it in"),
    _("its supplier has not said whether it was sold: look there first, then fill it in or refund it"),
    _("its supplier sold it, and somebody had filled it in or refunded it: see to what was bought there"),
    _("its supplier says that it was delivered, but not all of it can be handed on: look there"),
    _("no payment of ours has this number"),
    _("the provider now says something else about this transaction"),
    _("in another currency than was asked for"),
    _("this money had gone back already when we first heard of it: look at the provider"),
    _("the order was paid already: refund this"),
    _("came after the hold had ended, and nothing was left: refund this"),
    _("came after the hold had ended, and the buyer has as many as one may have: refund this"),
    _("less than the price: ask for the rest or refund"),
    _("more than the price: refund the difference"),
)


def in_words(reason: str) -> str:
    """The reason in the language of the request; as it is where there is no translation."""
    for known in (DEALT_WITH, ASKED_FOR, REPLACED):
        if reason.startswith(f"{known}: "):  # and then somebody's own words
            return gettext(known) + reason.removeprefix(known)
    return gettext(reason) if reason else ""


def why_it_waits(receipt: Receipt) -> str:
    """Why the money needs a person, or needed one."""
    why = in_words(receipt.attention)
    if why and receipt.resolved_at:
        return gettext("%(reason)s (dealt with)") % {"reason": why}
    return why or "-"
