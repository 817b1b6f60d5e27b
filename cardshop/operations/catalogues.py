"""The translations kept in step with the code: extraction by Babel, so that no gettext is needed."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

REPOSITORY = Path(__file__).resolve().parent.parent.parent
CODE = ["cardshop", "inventory", "orders", "payments", "resellers", "suppliers"]
_KEYWORDS = {
    **DEFAULT_KEYWORDS,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}


def catalogue_paths(root: Path = REPOSITORY) -> list[Path]:
    return sorted(root.glob("locale/*/LC_MESSAGES/django.po"))


def read_catalogue(path: Path) -> Catalog:
    """The catalogue in `path`, whose folder names its language."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name)


def extract_messages(root: Path = REPOSITORY) -> Catalog:
    """Every string that the code and the templates mark for translation, with where it stands."""
    found = Catalog(project="Cardshop", fuzzy=False)
    for path in _sources(root):
        text = _as_python(path) if path.suffix != ".py" else path.read_bytes()
        place = path.relative_to(root).as_posix()
        for _line, message, _comments, context in extract("python", BytesIO(text), keywords=_KEYWORDS):
            # No line numbers: every edit would move them.
            found.add(message, locations=[(place, None)], context=context)  # type: ignore[list-item, unused-ignore]
    return found


def update(catalogue: Catalog, wanted: Catalog) -> None:
    """Add what is new, drop what is gone, keep every translation. Nothing is guessed."""
    catalogue.update(wanted, no_fuzzy_matching=True)
    catalogue.obsolete.clear()


def write_catalogue(path: Path, catalogue: Catalog) -> None:
    """The same strings always make the same file, so that a diff shows what was translated."""
    out = BytesIO()
    write_po(out, catalogue, width=100, sort_output=True, include_lineno=False, omit_header=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_header(catalogue).encode() + out.getvalue())


def complaints(catalogue: Catalog, wanted: Catalog) -> list[str]:
    """What keeps the catalogue from being whole: one line for every string concerned."""
    lines = []
    for message in wanted:
        if not message.id:
            continue
        have = catalogue.get(message.id, context=message.context)
        if have is None or not all(_strings(have.string)):
            lines.append(f"untranslated: {_shown(message.id)}")
        elif have.fuzzy:
            lines.append(f"fuzzy: {_shown(message.id)}")
        else:
            # An extracted message knows that it holds placeholders; the entry may not say so.
            have.flags |= message.flags
            lines += [f"{error}: {_shown(message.id)}" for error in have.check(catalogue)]
    lines += [
        f"obsolete: {_shown(message.id)}"
        for message in [*catalogue, *catalogue.obsolete.values()]
        if message.id and wanted.get(message.id, context=message.context) is None
    ]
    return lines


def _sources(root: Path) -> Iterator[Path]:
    for folder in [*CODE, "templates"]:
        for path in sorted((root / folder).rglob("*")):
            parts = set(path.relative_to(root).parts)
            if parts & {"tests", "migrations", "static", "__pycache__"}:
                continue
            if path.suffix == ".py" or ("templates" in parts and path.suffix in (".html", ".txt")):
                yield path


def _as_python(template: Path) -> bytes:
    """Django's own translation of a template for xgettext; indented lines would not parse."""
    source = templatize(template.read_text(), origin=str(template))
    return "\n".join(line.lstrip() for line in source.splitlines()).encode()


def _strings(text: str | tuple[str, ...] | list[str] | None) -> list[str]:
    return list(text) if isinstance(text, (tuple, list)) else [text or ""]


def _shown(text: str | tuple[str, ...] | list[str]) -> str:
    return repr(_strings(text)[0])


def _header(catalogue: Catalog) -> str:
    return (
        "# Cardshop's texts. Kept in step with the code by `manage.py messages`.\n"
        'msgid ""\n'
        'msgstr ""\n'
        f'"Language: {catalogue.locale_identifier}\\n"\n'
        '"MIME-Version: 1.0\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n'
        '"Content-Transfer-Encoding: 8bit\\n"\n'
        f'"Plural-Forms: {catalogue.plural_forms}\\n"\n\n'
    )
