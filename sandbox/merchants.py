"""Who may call, and what they and we sign with. Each protocol has keys of its own."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from sandbox import epay, epay_v2
from sandbox.ledger import EPAY_V2, Trade


@dataclass(frozen=True, kw_only=True)
class Merchants:
    """`keys` are EPay v1's shared secrets; `rsa` v2's public keys, with `platform`, our own key, for them."""

    keys: Mapping[str, str] = field(repr=False)
    rsa: Mapping[str, RSAPublicKey] = field(default_factory=dict)
    platform: RSAPrivateKey | None = field(default=None, repr=False)

    def know(self, trade: Trade) -> bool:
        """Whether the trade's merchant is still one of ours."""
        return trade.bill.pid in (self.rsa if trade.bill.protocol == EPAY_V2 else self.keys)

    def claim(self, trade: Trade, *, trade_status: str = "TRADE_SUCCESS") -> dict[str, str]:
        """The signed statement that a trade is paid, as notice and return page both carry it."""
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

    def signed(self, said: Mapping[str, object]) -> dict[str, object]:
        """By the platform, now."""
        assert self.platform is not None
        return epay_v2.signed(said, self.platform, now=time.time())
