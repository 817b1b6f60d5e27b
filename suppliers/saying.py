"""What is written down of suppliers in English, in the language of whoever reads it."""

import re

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

PAID_OTHERWISE = _("%(order)s: %(ours)s by our books, %(theirs)s paid by theirs")
NOT_GIVEN_BACK = _("%(order)s: not to be had, %(theirs)s paid and %(back)s given back by their books")
GIVEN_BACK = _("%(order)s: handed on and not refunded here, %(back)s given back by their books")
NOT_OURS = _("%(order)s: nothing by our books, %(theirs)s paid by theirs")
AND_MORE = _("and %(count)s more")
ANSWERED = _("it answered %(answer)s")

_SENTENCES = [
    *(PAID_OTHERWISE, NOT_GIVEN_BACK, GIVEN_BACK, NOT_OURS, AND_MORE, ANSWERED),
    _("no answer in time"),
    _("the supplier is switched off"),
    _("its secret does not open: enter it again"),
    _("somebody has seen to it; whether it was bought is not known yet"),
    _("it answered with something else than JSON"),
    _("its answer cannot be read"),
    _("a key of it cannot be shown to a buyer"),
]


def _pattern(sentence: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+)", re.escape(sentence)))


# Those with fewer gaps first: into a gap everything fits.
_KNOWN = [(_pattern(each), each) for each in sorted(_SENTENCES, key=lambda each: each.count("%("))]


def in_words(text: str) -> str:
    """Line by line; a line that nobody knows, such as the code of a refusal, as it is."""
    return "\n".join(map(_line_in_words, text.splitlines()))


def _line_in_words(line: str) -> str:
    for pattern, sentence in _KNOWN:
        if found := pattern.fullmatch(line):
            return gettext(sentence) % found.groupdict()
    return line
