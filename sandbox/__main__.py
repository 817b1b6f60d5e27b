"""Start the sandbox: python -m sandbox --port 8001 --db PATH --merchant 1001:KEY."""

import json
import os
import re
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped, unused-ignore]

from sandbox import epay_v2
from sandbox.app import make_app
from sandbox.gateway import Gateway
from sandbox.knobs import KnobBoard
from sandbox.ledger import ALIPAY, EPAY_V1, EPAY_V2, PAYPAL, STRIPE, Ledger
from sandbox.merchants import Merchants
from sandbox.notices import NoticeSender
from sandbox.paypal import PayPalApp
from sandbox.paypal_speaker import PayPalSpeaker
from sandbox.speakers import AlipaySpeaker, EpaySpeaker, EpayV2Speaker, Speaker
from sandbox.stripe import StripeAccount
from sandbox.stripe_speaker import StripeSpeaker

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

MERCHANT = re.compile(r"(?P<pid>[1-9][0-9]{0,8}):(?P<key>\S+)")
SERVER = {
    "worker_class": "gthread",
    "workers": 1,  # the notice pool and the knobs live in the one worker
    "threads": 256,  # 200 callers kept waiting by api_delay_s leave room for who turns it off
    "keepalive": 75,  # longer than any client keeps an idle connection, so that none meets a close
    "graceful_timeout": 1,
    "limit_request_line": 8190,
    "loglevel": "error",  # below that, gunicorn logs request lines it cannot read: keys and all
    "control_socket_disable": True,
}


class Server(BaseApplication):  # type: ignore[misc, unused-ignore]  # gunicorn has no types
    """gunicorn, told everything here. The worker builds the application, after the fork."""

    def __init__(self, *, port: int, db: Path, merchants: Merchants, public_url: str) -> None:
        self._port, self._db, self._merchants, self._public_url = port, db, merchants, public_url
        super().__init__()

    def load_config(self) -> None:
        for name, value in {**SERVER, "bind": f"127.0.0.1:{self._port}"}.items():
            self.cfg.set(name, value)

    def load(self) -> "WSGIApplication":
        ledger, board = Ledger(self._db), KnobBoard()
        speakers = _speakers(self._merchants, self._public_url)
        sender = NoticeSender(ledger, board, speakers)
        sender.start()
        return make_app(
            Gateway(
                ledger=ledger,
                board=board,
                sender=sender,
                merchants=self._merchants,
                speakers=speakers,
                public_url=self._public_url,
            )
        )


def _speakers(merchants: Merchants, public_url: str) -> dict[str, Speaker]:
    """Every protocol that is spoken here, by its name in the ledger."""
    return {
        EPAY_V1: EpaySpeaker(merchants),
        EPAY_V2: EpayV2Speaker(merchants),
        ALIPAY: AlipaySpeaker(merchants),
        STRIPE: StripeSpeaker(merchants.stripe),
        PAYPAL: PayPalSpeaker(merchants.paypal, public_url),
    }


def read_merchants(text: str) -> dict[str, str]:
    """Keys by merchant, from "1001:KEY,1002:KEY2" (or one a line). Raises ValueError."""
    keys: dict[str, str] = {}
    for number, entry in enumerate(re.split(r"[,\s]+", text.strip()), start=1):
        match = MERCHANT.fullmatch(entry)
        if match is None:
            raise ValueError(f"merchant {number} is not ID:KEY")  # without the key, which is secret
        keys[match["pid"]] = match["key"]
    return keys


def _read_rsa(env: Mapping[str, str]) -> tuple[dict[str, RSAPublicKey], RSAPrivateKey | None]:
    """The merchants of EPay v2 and the platform's own key, if there are any. Raises KeyError, ValueError."""
    if not (merchants := env.get("SANDBOX_RSA_MERCHANTS")):
        return {}, None
    rsa = {pid: epay_v2.read_public_key(key) for pid, key in read_merchants(merchants).items()}
    return rsa, epay_v2.read_private_key(env["SANDBOX_PLATFORM_KEY"])


def _read_stripe(env: Mapping[str, str]) -> StripeAccount | None:
    """Raises TypeError, ValueError."""
    text = env.get("SANDBOX_STRIPE")
    return StripeAccount(**json.loads(text)) if text else None


def _read_paypal(env: Mapping[str, str]) -> PayPalApp | None:
    """Raises TypeError, ValueError."""
    text = env.get("SANDBOX_PAYPAL")
    if not text:
        return None
    app = PayPalApp(**json.loads(text))
    _ = app.certificate  # now, and not in the middle of the first call
    return app


def main() -> None:
    env = os.environ
    parser = ArgumentParser("sandbox", description="A stand-in EPay gateway on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=env.get("SANDBOX_PORT", "8001"))
    parser.add_argument("--db", type=Path, default=env.get("SANDBOX_DB", "sandbox.sqlite3"))
    parser.add_argument("--public-url", default=env.get("SANDBOX_PUBLIC_URL"))
    parser.add_argument(
        "--merchant",
        action="append",
        metavar="ID:KEY",
        help="better SANDBOX_MERCHANTS or SANDBOX_MERCHANTS_FILE: arguments show in process lists",
    )
    args = parser.parse_args()
    if args.merchant:
        merchants = ",".join(args.merchant)
    elif file := env.get("SANDBOX_MERCHANTS_FILE"):
        merchants = Path(file).read_text()
    else:
        merchants = env.get("SANDBOX_MERCHANTS", "")
    try:
        keys = read_merchants(merchants)
    except ValueError as exc:
        parser.error(str(exc))
    try:
        rsa, platform = _read_rsa(env)
    except (KeyError, ValueError):
        parser.error("SANDBOX_RSA_MERCHANTS is not ID:KEY, or SANDBOX_PLATFORM_KEY no key")
    try:
        stripe, paypal = _read_stripe(env), _read_paypal(env)
    except (TypeError, ValueError):
        parser.error("SANDBOX_STRIPE or SANDBOX_PAYPAL is not the JSON that README.md describes")
    args.db.parent.mkdir(parents=True, exist_ok=True)
    public_url = (args.public_url or f"http://127.0.0.1:{args.port}").rstrip("/")
    print(f"sandbox gateway on {public_url}, merchants {', '.join(keys)}", flush=True)
    known = Merchants(keys=keys, rsa=rsa, platform=platform, stripe=stripe, paypal=paypal)
    Server(port=args.port, db=args.db, merchants=known, public_url=public_url).run()


if __name__ == "__main__":
    main()
