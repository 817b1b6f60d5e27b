"""What merchants write for buyers: Markdown, or simple HTML. Nothing of it is trusted.

Sanitised when it is shown and not when it is saved, so whatever way it came into the database, and whatever
this module allowed back then.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from html.parser import HTMLParser

import nh3
from django.utils.html import linebreaks
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore

LONGEST = 10_000  # characters, some six pages of a book; the worst of them take 0.3 s
HIGHEST_HEADING = 3  # above it stand the page's own

_TAGS = {
    *("p", "br", "hr", "blockquote", "pre", "code", "ul", "ol", "li", "h3", "h4", "h5", "h6"),
    *("strong", "b", "em", "i", "u", "s", "del", "a", "img"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
# What stands in these is no text for people.
_DROPPED_WHOLE = {
    *("script", "style", "template", "title", "svg", "math", "noscript"),
    *("iframe", "object", "embed", "textarea", "select"),
}
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)  # as Markdown has them; Python reads no more than 4,300 digits
_OUR_PICTURE = re.compile(r"/media/products/[-\w]+\.(?:png|jpe?g|webp)", re.ASCII)


def _only_our_pictures(tag: str, attribute: str, value: str) -> str | None:
    """A picture from elsewhere would tell its server who looks at what. It is left out."""
    foreign = (tag, attribute) == ("img", "src") and not _OUR_PICTURE.fullmatch(value)
    return None if foreign else value


def _put_headings_below_ours(state: StateCore) -> None:
    headings = [token for token in state.tokens if token.type in ("heading_open", "heading_close")]
    highest = min((int(token.tag[1]) for token in headings), default=1)
    for token in headings:
        token.tag = f"h{min(6, int(token.tag[1]) - highest + HIGHEST_HEADING)}"


_cleaner = nh3.Cleaner(
    tags=_TAGS,
    clean_content_tags=_DROPPED_WHOLE,
    attributes={"a": {"href", "title"}, "img": {"src", "alt", "title"}, "ol": {"start"}},
    attribute_filter=_only_our_pictures,
    set_tag_attribute_values={"img": {"loading": "lazy"}},
    link_rel="nofollow noopener noreferrer",
    url_schemes={"http", "https", "mailto"},
)
# A line break is one, and an indented line is not code: people who know no Markdown write these.
_markdown = MarkdownIt("commonmark", {"html": True, "breaks": True}).enable(["table", "strikethrough"])
_markdown.disable("code")
_markdown.core.ruler.push("headings_below_ours", _put_headings_below_ours)


def rich_text(source: str) -> SafeString:
    """The text as HTML that may stand in any page. What is longer than LONGEST stays as it was typed."""
    if len(source) > LONGEST:
        return mark_safe(linebreaks(source, autoescape=True))  # noqa: S308  escaped
    return _rendered(source)


@lru_cache(maxsize=128)
def _rendered(source: str) -> SafeString:
    return mark_safe(_cleaner.clean(_markdown.render(source)))  # noqa: S308  that is what the cleaner is for


def plain_text(source: str) -> str:
    """The same for a mail: a line for each block, marks before entries of lists, addresses after links."""
    reader = _Reader()
    reader.feed(rich_text(source))
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    """Reads what `rich_text` returns, and nothing else."""

    _APART = {"p", "hr", "blockquote", "pre", "ul", "ol", "table", "h3", "h4", "h5", "h6"}

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[str] = []
        self._next_number: list[int | None] = []  # of each list that is open; None: it has no numbers
        self._address = ""

    def handle_starttag(self, tag: str, attributes: Sequence[tuple[str, str | None]]) -> None:
        said = dict(attributes)
        if tag in self._APART:
            self._parts.append("\n" if self._next_number else "\n\n")
        if tag in ("ul", "ol"):
            self._next_number.append(_whole_number(said.get("start")) if tag == "ol" else None)
        elif tag == "li":
            self._parts.append(f"\n{self._mark()} ")
        elif tag in ("br", "tr"):
            self._parts.append("\n")
        elif tag == "a":
            self._address = said.get("href") or ""
        elif tag == "img":
            self._parts.append(said.get("alt") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("ul", "ol"):
            self._next_number.pop()
        if tag in self._APART and not self._next_number:
            self._parts.append("\n\n")
        elif tag in ("td", "th"):
            self._parts.append("  ")
        elif tag == "a" and self._address:
            if not self._parts or self._address.removeprefix("mailto:") not in self._parts[-1]:
                self._parts.append(f" ({self._address})")
            self._address = ""

    def handle_data(self, text: str) -> None:
        self._parts.append(re.sub(r"\s+", " ", text))

    def text(self) -> str:
        joined = re.sub(r"[ \t]*\n[ \t]*", "\n", "".join(self._parts))
        # A paragraph in an entry of a list begins on the entry's own line.
        joined = re.sub(r"\n(-|\d+\.) *\n+", r"\n\1 ", joined)
        return re.sub(r"\n{3,}", "\n\n", joined).strip()

    def _mark(self) -> str:
        number = self._next_number[-1] if self._next_number else None
        if number is None:
            return "-"
        self._next_number[-1] = number + 1
        return f"{number}."


def _whole_number(text: str | None) -> int:
    return int(text) if text and _NUMBER.fullmatch(text) else 1
