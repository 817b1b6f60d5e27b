"""Start the sandbox: python -m sandbox --port 8001 --db PATH --merchant 1001:KEY."""

import os
import re
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped, unused-ignore]

from sandbox.app import make_app
from sandbox.gateway import Gateway
from sandbox.knobs import KnobBoard
from sandbox.ledger import Ledger
from sandbox.notices import NoticeSender

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

    def __init__(self, *, port: int, db: Path, keys: Mapping[str, str], public_url: str) -> None:
        self._port, self._db, self._keys, self._public_url = port, db, keys, public_url
        super().__init__()

    def load_config(self) -> None:
        for name, value in {**SERVER, "bind": f"127.0.0.1:{self._port}"}.items():
            self.cfg.set(name, value)

    def load(self) -> "WSGIApplication":
        ledger, board = Ledger(self._db), KnobBoard()
        sender = NoticeSender(ledger, board, self._keys)
        sender.start()
        return make_app(
            Gateway(
                ledger=ledger,
                board=board,
                sender=sender,
                keys=self._keys,
                public_url=self._public_url,
            )
        )


def read_merchants(text: str) -> dict[str, str]:
    """Keys by merchant, from "1001:KEY,1002:KEY2" (or one a line). Raises ValueError."""
    keys: dict[str, str] = {}
    for number, entry in enumerate(re.split(r"[,\s]+", text.strip()), start=1):
        match = MERCHANT.fullmatch(entry)
        if match is None:
            raise ValueError(f"merchant {number} is not ID:KEY")  # without the key, which is secret
        keys[match["pid"]] = match["key"]
    return keys


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
    args.db.parent.mkdir(parents=True, exist_ok=True)
    public_url = (args.public_url or f"http://127.0.0.1:{args.port}").rstrip("/")
    print(f"sandbox gateway on {public_url}, merchants {', '.join(keys)}", flush=True)
    Server(port=args.port, db=args.db, keys=keys, public_url=public_url).run()


if __name__ == "__main__":
    main()
