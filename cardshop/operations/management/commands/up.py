import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from cardshop.embedded import var_dir
from cardshop.operations.demo import ensure_admin
from cardshop.operations.demo_accounts import accounts
from cardshop.operations.translations import compile_translations

DEFAULT_PORT = 8000


class Command(BaseCommand):
    help = "Prepare everything, then run the whole shop in this terminal until Ctrl-C (`make run`)."
    requires_system_checks = ()  # the port comes first; migrate checks afterwards

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # while preparing: end at once, no traceback
        port = free_port("PORT", DEFAULT_PORT)
        sandbox_port = free_port("SANDBOX_PORT", port + 1)
        hot_port = free_port("HOT_PORT", port + 2)
        api_port = free_port("API_PORT", port + 3)
        os.environ.update(
            surroundings(
                port=port, hot_port=hot_port, api_port=api_port, sandbox_port=sandbox_port, var=var_dir()
            )
        )

        self.tell("preparing the database")
        call_command("migrate", verbosity=0, interactive=False)
        compile_translations()
        call_command("collectstatic", verbosity=0, interactive=False)
        login = None if os.environ.get("DEMO") == "no" else self.prepare_demo()

        self.stdout.write(f"\n  Shop             http://127.0.0.1:{port}/")
        self.stdout.write(f"  Administration   http://127.0.0.1:{port}/admin/")
        if login:
            self.stdout.write(
                f"                   user {login[0]}, password {login[1]} (shown only this once)"
            )
        self.stdout.write(f"  Sandbox gateway  http://127.0.0.1:{sandbox_port}/")
        self.stdout.write("  Ctrl-C stops everything.\n")
        self.stdout.flush()
        connections.close_all()
        forget_counts(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
        run_procfile()

    def prepare_demo(self) -> tuple[str, str] | None:
        self.tell("preparing the demo shop")
        login = ensure_admin()  # before `demo`, which would create the account and keep the password
        call_command("demo", verbosity=0)
        return login

    def tell(self, message: str) -> None:
        self.stderr.write(f"cardshop: {message}", style_func=str)


def free_port(name: str, default: int) -> int:
    """The port that the environment's `name` asks for. Raises CommandError if it cannot be had."""
    wanted = os.environ.get(name) or str(default)
    if not wanted.isascii() or not wanted.isdigit() or not 0 < int(wanted) < 65536:
        raise CommandError(f"{name}={wanted} is no port: it has to be a number from 1 to 65535.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(wanted)))
        except OSError as error:
            raise CommandError(
                f"Port {wanted} of 127.0.0.1 cannot be used ({error.strerror}). "
                f"Stop what runs there, or choose another: {name}={min(int(wanted) + 100, 65535)} make run"
            ) from None
    return int(wanted)


def surroundings(*, port: int, hot_port: int, api_port: int, sandbox_port: int, var: Path) -> dict[str, str]:
    """What the processes of the Procfile find in their environment.

    HOT_PORT is where a gateway sends the rush of a hot variant, API_PORT where it sends programs and those
    who pay: the same shop, by processes that step back for the others. WEB_PORT, since `honcho start` by
    hand gives every process a PORT of its own.
    """
    return {
        "CARDSHOP_VAR": str(var),
        "PROMETHEUS_MULTIPROC_DIR": str(var / "metrics"),
        "WEB_PORT": str(port),
        "HOT_PORT": str(hot_port),
        "API_PORT": str(api_port),
        "SANDBOX_PORT": str(sandbox_port),
        "SANDBOX_DB": os.environ.get("SANDBOX_DB") or str(var / "sandbox" / "ledger.sqlite3"),
        **accounts(port=port, sandbox_port=sandbox_port, secrets=var / "secrets"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "LOG_FORMAT": os.environ.get("LOG_FORMAT") or "console",  # a person is looking
        "PYTHONUNBUFFERED": "1",  # lines appear as they are written
    }


def forget_counts(folder: Path) -> None:
    """Of the last run, which may have been another version, with other metrics. Prometheus sees a restart."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)


def run_procfile() -> None:
    """Become honcho, without Django in memory."""
    os.execv(sys.executable, [sys.executable, "-m", "cardshop.operations.procfile"])  # noqa: S606  no shell
