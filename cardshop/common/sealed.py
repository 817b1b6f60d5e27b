"""Where sealed values stand. Each app names its own, so that rotation and checks forget none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model


@dataclass(frozen=True)
class SealedColumn:
    """`context_of` tells what the value of a row is bound to."""

    name: str
    model: type[Model]
    field: str
    context_of: Callable[[Any], bytes]

    def sealed(self, row: Model) -> bytes:
        return bytes(getattr(row, self.field))
