"""How PayPal tells of its orders."""

import json
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from sandbox import paypal
from sandbox.ledger import Trade
from sandbox.speakers import Telling


@dataclass(frozen=True)
class PayPalSpeaker:
    """An event by POST, with the address of the certificate that its signature is to be looked at with."""

    app: paypal.PayPalApp | None
    public_url: str

    def knows(self, pid: str) -> bool:
        return self.app is not None and pid == self.app.client_id

    def telling(self, trade: Trade, *, word: str, corrupt: bool) -> Telling:
        assert self.app is not None
        said = paypal.event(trade, word=word, pay_url=f"{self.public_url}/pay/{trade.trade_no}")
        body = json.dumps(said).encode()
        # One transmission for one event, however often it is sent.
        transmission, moment = str(uuid5(NAMESPACE_URL, str(said["id"]))), str(said["create_time"])
        signed = body + b" " if corrupt else body
        return Telling(
            method="POST",
            url=trade.bill.notify_url,
            headers={
                "Content-Type": "application/json",
                "PayPal-Auth-Algo": "SHA256withRSA",
                "PayPal-Cert-Url": f"{self.public_url}/paypal/v1/notifications/certs/{paypal.CERTIFICATE}",
                "PayPal-Transmission-Id": transmission,
                "PayPal-Transmission-Time": moment,
                "PayPal-Transmission-Sig": self.app.signature(transmission, moment, signed),
            },
            body=body,
        )

    def is_heard(self, status: int, body: str) -> bool:
        return 200 <= status < 300

    def way_back(self, trade: Trade) -> str:
        return trade.bill.return_url
