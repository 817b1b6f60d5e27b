"""Start the sandbox: python -m sandbox --port 8001 --db PATH --merchant 1001:KEY."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped, unused-ignore]

from sandbox.app import make_app
from sandbox.environment import BadEnvironment, read_environment
from sandbox.gateway import Gateway
from sandbox.knobs import KnobBoard
from sandbox.ledger import (
    ALIPAY,
    BEPUSDT,
    EPAY_V1,
    EPAY_V2,
    EPUSDT,
    PAYPAL,
    STRIPE,
    TOKENPAY,
    WECHAT,
    Ledger,
)
from sandbox.merchants import Merchants
from sandbox.notices import NoticeSender
from sandbox.paypal_speaker import PayPalSpeaker
from sandbox.speakers import AlipaySpeaker, EpaySpeaker, EpayV2Speaker, Speaker
from sandbox.stripe_speaker import StripeSpeaker
from sandbox.usdt_speakers import BepusdtSpeaker, EpusdtSpeaker, TokenPaySpeaker
from sandbox.wechat_speaker import WechatSpeaker

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

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
    speakers: dict[str, Speaker] = {
        EPAY_V1: EpaySpeaker(merchants),
        EPAY_V2: EpayV2Speaker(merchants),
        ALIPAY: AlipaySpeaker(merchants),
        EPUSDT: EpusdtSpeaker(merchants),
        BEPUSDT: BepusdtSpeaker(merchants),
        TOKENPAY: TokenPaySpeaker(merchants),
        STRIPE: StripeSpeaker(merchants.stripe),
        PAYPAL: PayPalSpeaker(merchants.paypal, public_url),
    }
    if merchants.wechat:
        speakers[WECHAT] = WechatSpeaker(merchants.wechat)
    return speakers


def main() -> None:
    env = os.environ
    parser = ArgumentParser("sandbox", description="A stand-in payment gateway on 127.0.0.1.")
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
        known = read_environment(env, merchants=merchants)
    except BadEnvironment as exc:
        parser.error(str(exc))
    args.db.parent.mkdir(parents=True, exist_ok=True)
    public_url = (args.public_url or f"http://127.0.0.1:{args.port}").rstrip("/")
    print(f"sandbox gateway on {public_url}, merchants {', '.join(known.keys)}", flush=True)
    Server(port=args.port, db=args.db, merchants=known, public_url=public_url).run()


if __name__ == "__main__":
    main()
