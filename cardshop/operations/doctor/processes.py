"""The processes of the Procfile: who answers, and who has lately shown that it works."""

import os
import re
import resource
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from django.conf import settings
from django.utils.translation import gettext as _

from cardshop.common.clock import db_now
from cardshop.operations.doctor.findings import Finding, ok, problem, warning
from cardshop.operations.gateway import (
    configuration_text,
    find_nginx,
    gateway_address,
    gateway_folder,
    gateway_port,
    pools,
)
from cardshop.outbox.heartbeats import last_seen
from inventory.models import Selling, Variant

# The process that reads a queue, where it is called otherwise.
_PROCESS = {"celery": "worker", "isolated": "worker_isolated"}
SILENT_FOR = timedelta(seconds=90)  # six signs of life
FILES_WANTED = 16_384  # connections of a rush, and some
# What depends on who writes the configuration and not on the settings.
_OF_THE_WRITER = re.compile(r"^\s*(user|worker_rlimit_nofile|worker_connections)\b.*$", re.MULTILINE)
_WEB_PROCESS = b"cardshop.wsgi"


def look_at_web() -> Iterator[Finding]:
    """Asks each pool directly, behind whatever stands in front of it."""
    silent = []
    for name, place in pools().items():
        state = _readiness(place)
        if state == "silent":
            silent.append(f"{name} ({place})")
        elif state != "ready":
            yield problem(
                _("The process %(name)s at %(place)s runs and is not ready: %(why)s.")
                % {"name": name, "place": place, "why": state},
                _("See that it has the same settings as this command, and start it again."),
            )
    if silent:
        yield problem(
            _("These web processes do not answer: %(names)s.") % {"names": ", ".join(silent)},
            _("Start them, or say where they listen: WEB_PORT, HOT_PORT, API_PORT (docs/gateway.md)."),
        )
    else:
        yield ok(_("The web processes answer: %(names)s.") % {"names": ", ".join(pools())})


def _readiness(place: str) -> str:
    try:
        answer = httpx.get(f"http://{place}/readyz", headers={"Host": _a_host()}, timeout=3, trust_env=False)
    except httpx.HTTPError:
        return "silent"
    if answer.status_code == httpx.codes.BAD_REQUEST:
        return _("it refuses the host %(host)s") % {"host": _a_host()}
    return "ready" if answer.is_success else _("it says %(status)d") % {"status": answer.status_code}


def _a_host() -> str:
    """One that is allowed."""
    names = (host.lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*")
    return next(names, "localhost")


def look_at_workers() -> Iterator[Finding]:
    seen, now = last_seen(), db_now()
    queues = [queue.name for queue in settings.CELERY_TASK_QUEUES]
    gone = [queue for queue in queues if not _is_alive(seen.get(queue), now)]
    if len(gone) == len(queues):
        yield problem(
            _("No worker has shown any life for a minute: nothing is delivered, and no unpaid order ends."),
            _(
                "See that beat runs (it wakes the workers), that the broker answers, and that the workers "
                "run. "
                "Right after a start this takes half a minute."
            ),
        )
    elif gone:
        names = ", ".join(_PROCESS.get(queue, queue) for queue in gone)
        yield problem(
            _("These workers have shown no life for a minute: %(names)s.") % {"names": names},
            _(
                "Start them (systemctl start cardshop-NAME). If they run, all their threads are stuck: "
                "see their log."
            ),
        )
    else:
        yield ok(_("beat and the workers of every queue are at work."))


def look_at_allocators() -> Iterator[Finding]:
    seen, now = last_seen(), db_now()
    queued = Variant.objects.filter(selling=Selling.QUEUED)
    for name, is_isolated in (("allocate", False), ("allocate_isolated", True)):
        if _is_alive(seen.get(name), now):
            yield ok(_("The process %(name)s is at work.") % {"name": name})
            continue
        lines = queued.filter(is_isolated=is_isolated).count()
        say = problem if lines else warning
        yield say(
            _("The process %(name)s has shown no life for a minute; lines that it should serve: %(count)d.")
            % {"name": name, "count": lines},
            _("Start it. Without it, nobody who clicks on a variant with a line gets anything."),
        )


def _is_alive(seen_at: datetime | None, now: datetime) -> bool:
    return seen_at is not None and now - seen_at < SILENT_FOR


def look_at_gateway() -> Iterator[Finding]:
    """nginx of ours, where it has ever been started from this machine."""
    written = gateway_folder() / "nginx.conf"
    if not written.exists():
        yield ok(_("The shop's own gateway is not used on this machine."))
        return
    if (gateway_folder() / "maintenance").exists():
        yield warning(
            _("The gateway is in maintenance: buyers are told to come back."),
            _("Remove the file %(file)s when you are done.") % {"file": gateway_folder() / "maintenance"},
        )
    if _OF_THE_WRITER.sub("", written.read_text()) != _OF_THE_WRITER.sub("", configuration_text()):
        yield warning(
            _("The gateway runs with older settings than these."),
            _("Start it again: it writes its configuration when it starts."),
        )
    if said := _nginx_refuses(written):
        yield problem(
            _("nginx refuses the gateway's configuration: %(said)s") % {"said": said},
            _("Start the gateway again; if it says the same, see docs/gateway.md for what it needs."),
        )
    try:
        # Whatever certificate it has: that of the shop's names is looked at from outside.
        httpx.get(_gateway_url(), headers={"Host": _a_host()}, timeout=3, trust_env=False, verify=False)  # noqa: S501
    except httpx.HTTPError:
        yield problem(
            _("The gateway does not answer at %(url)s.") % {"url": _gateway_url()},
            _("Start it: `manage.py gateway`, or cardshop-gateway.service."),
        )
    else:
        yield ok(_("The gateway answers at %(url)s.") % {"url": _gateway_url()})


def _gateway_url() -> str:
    scheme = "https" if os.environ.get("GATEWAY_CERTIFICATE") else "http"
    return f"{scheme}://{gateway_address()}:{gateway_port()}/healthz"


def _nginx_refuses(configuration: Path) -> str:
    """What it says against it, in one line; empty if nothing, or if there is no nginx here."""
    if (nginx := find_nginx()) is None:
        return ""
    command = [nginx, "-t", "-q", "-e", "stderr", "-c", str(configuration)]
    tested = subprocess.run(command, capture_output=True, text=True, timeout=8, check=False)  # noqa: S603
    lines = [line for line in tested.stderr.splitlines() if "[emerg]" in line]
    return lines[0][:200] if tested.returncode and lines else ""


def look_at_open_files() -> Iterator[Finding]:
    """The limit of the web processes, if they run here; else of this command."""
    limits = list(_limits_of_web_processes())
    limit = min(limits) if limits else resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    of_web = _("The web processes may open %(count)d files.")
    of_this = _("This command may open %(count)d files; web processes were not found on this machine.")
    said = (of_web if limits else of_this) % {"count": limit}
    if limits and limit < FILES_WANTED:
        yield warning(
            said,
            _("Give them 65536 (LimitNOFILE= in the unit, ulimit -n): each waiting buyer takes one."),
        )
    else:
        yield ok(said)


def _limits_of_web_processes() -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if _WEB_PROCESS not in (process / "cmdline").read_bytes():
                continue
            said = re.search(r"^Max open files\s+(\d+)", (process / "limits").read_text(), re.MULTILINE)
        except OSError:
            continue  # gone, or not ours to read
        if said:
            yield int(said[1])
