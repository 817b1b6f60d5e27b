"""What a buyer is asked for with an order: checked, sealed on the line, opened for those who may read it.

The answers are personal data. Sealed, they open with their own order only; nothing of them is ever quoted.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from cardshop.common.crypto import keyring
from cardshop.common.errors import Invalid
from inventory.models import BuyerField
from orders.models import Order, OrderItem

# In forms and in what is said about them: `answers.12` is the answer to the question with that id.
PREFIX = "answers."


@dataclass(frozen=True)
class Answer:
    """To one question, as it was asked."""

    field: str
    name: str
    name_en: str
    value: str


class InvalidAnswers(Invalid):
    """With what is wrong, by question."""

    def __init__(self, wrong: Mapping[str, str]) -> None:
        self.wrong = wrong
        super().__init__()

    def fields(self) -> dict[str, list[str]]:
        return {name: [text] for name, text in self.wrong.items()}


def checked_answers(asked: Sequence[BuyerField], given: Mapping[str, str]) -> list[Answer]:
    """The answers that were given, in the order asked. Raises InvalidAnswers, without quoting any."""
    given = {field: value.strip() for field, value in given.items() if value.strip()}
    wrong = {}
    if given.keys() - {str(field.pk) for field in asked}:
        wrong["answers"] = str(_("Unknown field."))
    for field in asked:
        if problem := _problem(field, given.get(str(field.pk), "")):
            wrong[f"{PREFIX}{field.pk}"] = str(problem)
    if wrong:
        raise InvalidAnswers(wrong)
    return [
        Answer(str(field.pk), field.name, field.name_en, given[str(field.pk)])
        for field in asked
        if str(field.pk) in given
    ]


def _problem(field: BuyerField, value: str) -> str | Promise:
    if not value:
        return _("Please fill this in.") if field.is_required else ""
    if len(value) > field.max_length:
        text = ngettext(
            "At most %(most)d character, please.", "At most %(most)d characters, please.", field.max_length
        )
        return text % {"most": field.max_length}
    if not value.isprintable():
        return _("Plain text on one line, please.")
    if field.kind == BuyerField.Kind.NUMBER and not (value.isascii() and value.isdigit()):
        return _("Digits only, please.")
    if field.kind == BuyerField.Kind.EMAIL:
        try:
            validate_email(value)
        except ValidationError:
            return _("Enter a valid email address.")
    return ""


def seal_answers(answers: Sequence[Answer], *, ticket_id: str) -> bytes | None:
    """For the line of the order with that ticket; None where there are none."""
    if not answers:
        return None
    text = json.dumps([asdict(answer) for answer in answers], ensure_ascii=False)
    return keyring().seal(text.encode(), context_of(ticket_id))


def opened_answers(order: Order, item: OrderItem) -> list[Answer]:
    """For the merchant's and the buyer's own eyes. Raises CannotOpen."""
    if item.answers is None:
        return []
    plain = keyring().open(bytes(item.answers), context_of(order.ticket_id))
    return [Answer(**answer) for answer in json.loads(plain)]


def same_answers(order: Order, item: OrderItem, given: Mapping[str, str]) -> bool:
    """Whether these are what the order was placed with."""
    placed = {answer.field: answer.value for answer in opened_answers(order, item)}
    return placed == {field: value.strip() for field, value in given.items() if value.strip()}


def context_of(ticket_id: str) -> bytes:
    """The additional authenticated data: the answers open with their own order only."""
    return b"answers:" + ticket_id.encode()
