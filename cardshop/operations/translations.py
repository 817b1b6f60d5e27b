"""Compiles the translations with Babel, since a fresh machine has no gettext: python -m ….translations."""

import os
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def compile_translations(root: Path = REPOSITORY) -> int:
    """Write a .mo beside every locale/*/LC_MESSAGES/*.po that is newer than its .mo; how many.

    Each appears whole: somebody else may be reading or compiling it.
    """
    compiled = 0
    for source in root.glob("locale/*/LC_MESSAGES/*.po"):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        draft = target.with_suffix(f".{os.getpid()}")
        with source.open("rb") as text, draft.open("wb") as binary:
            write_mo(binary, read_po(text))
        draft.replace(target)
        compiled += 1
    return compiled


if __name__ == "__main__":
    compile_translations()
