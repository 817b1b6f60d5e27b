"""Who may call, and what they and we sign with. Each protocol has keys of its own."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from sandbox import alipay, epay, epay_v2
from sandbox.ledger import ALIPAY, BEIJING, EPAY_V1, EPAY_V2, Trade


@dataclass(frozen=True, kw_only=True)
class Merchants:
    """`keys` are EPay v1's shared secrets; `rsa` the public keys of merchants of EPay v2 and Alipay, with
    `platform`, our own key, for them.
    """

    keys: Mapping[str, str] = field(repr=False)
    rsa: Mapping[str, RSAPublicKey] = field(default_factory=dict)
    platform: RSAPrivateKey | None = field(default=None, repr=False)

    def know(self, trade: Trade) -> bool:
        """Whether the trade's merchant is still one of ours."""
        return trade.bill.pid in (self.keys if trade.bill.protocol == EPAY_V1 else self.rsa)

    def claim(self, trade: Trade, *, trade_status: str = "TRADE_SUCCESS") -> dict[str, str]:
        """The signed statement that a trade is paid, as notice and return page both carry it."""
        if trade.bill.protocol == ALIPAY:
            return self._alipay_claim(trade, trade_status)
        said = {
            "pid": trade.bill.pid,
            "trade_no": trade.trade_no,
            "out_trade_no": trade.bill.out_trade_no,
            "type": trade.bill.type,
            "name": trade.bill.name,
            "money": epay.as_php_float(trade.money_fen),
            "trade_status": trade_status,
        }
        if trade.bill.param:
            said["param"] = trade.bill.param
        if trade.bill.protocol != EPAY_V2:
            return epay.signed(said, self.keys[trade.bill.pid])
        said |= {"api_trade_no": f"SANDBOX{trade.trade_no}", "buyer": "sandbox-buyer"}
        return {name: str(value) for name, value in self.signed(said).items()}

    def _alipay_claim(self, trade: Trade, trade_status: str) -> dict[str, str]:
        assert self.platform is not None
        paid_at = datetime.fromtimestamp(trade.paid_at or 0, BEIJING).strftime("%Y-%m-%d %H:%M:%S")
        said = {
            "notify_type": "trade_status_sync",
            "notify_id": f"N{trade.trade_no}",
            "app_id": trade.bill.pid,
            "trade_no": trade.trade_no,
            "out_trade_no": trade.bill.out_trade_no,
            "subject": trade.bill.name,
            "total_amount": epay.as_decimal(trade.money_fen),
            "trade_status": trade_status,
            "gmt_payment": paid_at,
            "buyer_logon_id": "san***@example.com",
        }
        return alipay.signed_notice(said, self.platform)

    def signed(self, said: Mapping[str, object]) -> dict[str, object]:
        """By the platform, now."""
        assert self.platform is not None
        return epay_v2.signed(said, self.platform, now=time.time())
