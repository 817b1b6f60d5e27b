"""Asking the doctor, in tests."""

import io

import pytest
from django.core.management import call_command

from cardshop.operations import standing
from cardshop.operations.doctor.findings import Finding, Level, examine, worst
from cardshop.operations.management.commands import doctor

OTHER_KEK = "other:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def told(name: str) -> list[Finding]:
    """What the check of that name says now, in English."""
    (look,) = [look for look in doctor.LOOKS if look.name == name]
    standing._last = None
    ((_name, findings),) = examine([look], language="en")
    return findings


def level_of(name: str) -> Level:
    return worst(told(name))


def sentence(name: str) -> str:
    """Of the worst finding."""
    return max(told(name), key=lambda finding: finding.level).said


def diagnosed(*arguments: str) -> tuple[int, str]:
    """The command's exit code, and what it printed."""
    standing._last = None
    out = io.StringIO()
    with pytest.raises(SystemExit) as exited:
        call_command("doctor", *arguments, stdout=out)
    return exited.value.code, out.getvalue()
