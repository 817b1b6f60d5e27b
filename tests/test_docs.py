"""What the documentation names is there: files, headings, the other language, and what `doctor` says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils.translation import gettext, override

from cardshop.alerts.models import Kind
from cardshop.operations.management.commands.doctor import BOOKS, LOOKS
from tests.stack import REPOSITORY

DOCS = REPOSITORY / "docs"
# For whoever changes the code; it is in English.
ENGLISH_ONLY = {"locking.md"}
PAGES = [*sorted(REPOSITORY.glob("README*.md")), *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
SAYS = {"problem", "warning", "say"}


def anchors_of(page: Path) -> set[str]:
    """As GitHub names headings: lower case, without punctuation, with hyphens for blanks."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(text: str, page: Path) -> list[str]:
    broken = []
    for link in LINK.findall(text):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(f"{page.relative_to(REPOSITORY)}: {link}")
    return broken


def test_every_link_and_picture_is_there():
    assert [broken for page in PAGES for broken in broken_links(page.read_text(), page)] == []


def test_control_a_broken_link_is_noticed():
    text = "[a](nothing.md) [b](keys.md#no-such-heading) [c](keys.md#a-bad-batch)"

    assert broken_links(text, DOCS / "README.md") == [
        "docs/README.md: nothing.md",
        "docs/README.md: keys.md#no-such-heading",
    ]


def test_every_page_is_there_in_both_languages_and_in_the_index():
    for language, index in (("", "README.md"), (".zh-CN", "README.zh-CN.md")):
        linked = {link.partition("#")[0] for link in LINK.findall((DOCS / index).read_text())}
        for page in sorted(DOCS.glob("*.md")):
            if ".zh-CN" in page.name or page.name in {"README.md", *ENGLISH_ONLY}:
                continue
            name = f"{page.stem}{language}.md"
            assert (DOCS / name).exists()
            assert name in linked, f"{index} does not name {name}"


def sentences_of_doctor() -> Iterator[str]:
    """What its checks say of what is not well, where they say it themselves."""
    for path in (REPOSITORY / "cardshop/operations/doctor").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAYS:
                for part in ast.walk(node.args[0]):
                    if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "_":
                        assert isinstance(part.args[0], ast.Constant)
                        yield str(part.args[0].value)


def as_documented(sentence: str) -> str:
    return re.sub(r"%\(\w+\)[.\d]*[sdf]", "…", sentence).replace("%%", "%")


@pytest.mark.parametrize(
    ("page", "language"), [("troubleshooting", "en"), ("troubleshooting.zh-CN", "zh-hans")]
)
def test_whatever_doctor_and_alerts_say_is_explained(page, language):
    text, sentences = (DOCS / f"{page}.md").read_text(), list(sentences_of_doctor())

    assert len(sentences) > 60
    with override(language):
        missing = [said for said in map(gettext, sentences) if as_documented(said) not in text]
        missing += [f"*{kind.label}*" for kind in Kind if f"*{kind.label}*" not in text]
    missing += [look.name for look in [*LOOKS, BOOKS] if f"| `{look.name}` |" not in text]
    assert missing == []
