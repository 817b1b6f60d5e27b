"""What is asked for, in a quote as in an order."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from cardshop.common.api import StrictSerializer, WholeNumberField

MOST_LINES = 50
MOST_UNITS = 500  # keys in one order


class LineInput(StrictSerializer):
    variant = serializers.SlugField(max_length=60)
    quantity = WholeNumberField(min_value=1, max_value=MOST_UNITS)


class LinesInput(StrictSerializer):
    lines = LineInput(many=True, min_length=1, max_length=MOST_LINES)  # type: ignore[call-arg]

    def validate_lines(self, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({line["variant"] for line in lines}) < len(lines):
            raise serializers.ValidationError(_("Name each variant once."))
        if sum(line["quantity"] for line in lines) > MOST_UNITS:
            raise serializers.ValidationError(_("At most %d keys in one order.") % MOST_UNITS)
        return lines
