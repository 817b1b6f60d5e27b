"""Whether a way to pay works, as far as that shows without money: its provider is asked about no payment."""

import secrets

from django.utils.translation import gettext as _

from payments.gateways import gateway_for
from payments.gateways.base import GatewayError, Trade
from payments.models import PaymentChannel


def what_is_wrong_with(channel: PaymentChannel) -> str:
    """Network. Empty if the provider answers that it knows nothing of a payment that does not exist; some
    answer so to wrong credentials, too, so that only a payment proves everything.
    """
    nothing = Trade(out_trade_no=f"T{secrets.token_hex(14)}", reference="", provider_txn_id="")
    try:
        found = gateway_for(channel).query(nothing)
    except GatewayError as error:
        return str(error)[:200] or type(error).__name__
    return "" if found is None else _("It says something about a payment that does not exist.")
