"""Where sealed values stand. Each app names its own, so that rotation and checks forget none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model


@dataclass(frozen=True)
class SealedColumn:
    """`context_of` tells what a row's value is bound to; `related` names the rows that it looks at for it.

    Where it is null there is nothing sealed.
    """

    name: str
    model: type[Model]
    field: str
    context_of: Callable[[Any], bytes]
    related: tuple[str, ...] = ()

    def sealed(self, row: Model) -> bytes:
        return bytes(getattr(row, self.field))
