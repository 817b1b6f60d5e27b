"""What a check says, and how checks are run: one after the other, none for long, none to the end of all."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from threading import Thread

from django.db import connections
from django.utils import translation
from django.utils.translation import gettext as _

DATABASE = "database"


class Level(IntEnum):
    """Also the command's exit code."""

    OK = 0
    WARNING = 1
    PROBLEM = 2


@dataclass(frozen=True)
class Finding:
    """One sentence, and the remedy where one is needed. Neither ever quotes a secret."""

    level: Level
    said: str
    remedy: str = ""


@dataclass(frozen=True)
class Look:
    """One check. `find` may raise: that is a finding, too. `needs_rows`: it reads the migrated database.

    `patience`: seconds after which the others go on.
    """

    name: str
    find: Callable[[], Iterable[Finding]]
    needs_rows: bool = False
    patience: float = 10.0


def ok(said: str) -> Finding:
    return Finding(Level.OK, said)


def warning(said: str, remedy: str) -> Finding:
    return Finding(Level.WARNING, said, remedy)


def problem(said: str, remedy: str) -> Finding:
    return Finding(Level.PROBLEM, said, remedy)


def examine(looks: Sequence[Look], *, language: str) -> Iterator[tuple[str, list[Finding]]]:
    """Each check's name with its findings, one at least, as they come. Never raises.

    While the check called DATABASE finds a problem, those that need rows are passed over, and say so.
    """
    has_rows = True
    for look in looks:
        if look.needs_rows and not has_rows:
            with translation.override(language):
                findings = [
                    warning(
                        _("Not looked at: the database is not in order."),
                        _("See what is said of the database."),
                    )
                ]
        else:
            findings = _within_patience(look, language)
        if look.name == DATABASE:
            has_rows = worst(findings) < Level.PROBLEM
        yield look.name, findings


def worst(findings: Iterable[Finding]) -> Level:
    return max((finding.level for finding in findings), default=Level.OK)


def _within_patience(look: Look, language: str) -> list[Finding]:
    """In a thread of its own, which is left behind if it does not come back."""
    found: list[Finding] = []

    def run() -> None:
        with translation.override(language):
            try:
                found.extend(look.find())
            except Exception as error:  # noqa: BLE001  whatever it was is said, and the others go on
                found.append(_failed(error))
        connections.close_all()

    thread = Thread(target=run, name=f"doctor-{look.name}", daemon=True)
    thread.start()
    thread.join(look.patience)
    with translation.override(language):
        if thread.is_alive():
            return [*found, _unanswered(look.patience)]
        return found or [ok(_("Nothing to say."))]


def _failed(error: Exception) -> Finding:
    """Only the kind of error: its text may hold an address with a password."""
    return problem(
        _("This could not be looked at: %(error)s.") % {"error": type(error).__name__},
        _("See what is said of the parts that it needs; if they are well, this is a fault of Cardshop."),
    )


def _unanswered(seconds: float) -> Finding:
    return problem(
        _("There was no answer within %(seconds)d seconds.") % {"seconds": seconds},
        _("Whatever is asked here is overloaded, or silently unreachable: look at it and at the network."),
    )
