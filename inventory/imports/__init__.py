"""Importing card keys: a few at once, or a stream of any length in the background."""

from inventory.imports.small import ImportReport, import_keys
from inventory.imports.storing import MAX_SECRET_BYTES

__all__ = ["MAX_SECRET_BYTES", "ImportReport", "import_keys"]
