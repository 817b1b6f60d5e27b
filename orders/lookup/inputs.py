"""What may be sent to look an order up, and to set its password."""

from typing import Any

from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError as Unfit
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from cardshop.common.api import StrictSerializer
from cardshop.common.ids import is_order_number

LONGEST_PASSWORD = 128


class OrderNumberField(serializers.CharField):
    """As people type it: in either case, with spaces or dashes. What is mistyped ends here, unasked."""

    default_error_messages = {"invalid": _("This is not an order number. Please check it letter by letter.")}

    def to_internal_value(self, data: Any) -> str:
        number = "".join(super().to_internal_value(data).split()).replace("-", "").upper()
        if not is_order_number(number):
            self.fail("invalid")
        return number


class NumberLookupInput(StrictSerializer):
    """Either of the two will do."""

    number = OrderNumberField(max_length=40)
    contact_email = serializers.EmailField(max_length=254, required=False, allow_blank=True, default="")
    password = serializers.CharField(
        max_length=LONGEST_PASSWORD, required=False, allow_blank=True, default=""
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["contact_email"] and not attrs["password"]:
            raise ValidationError(
                {"contact_email": [_("Please enter the e-mail or the password of the order.")]}
            )
        return attrs


class MailLookupInput(StrictSerializer):
    contact_email = serializers.EmailField(max_length=254)


class PasswordInput(StrictSerializer):
    password = serializers.CharField(min_length=8, max_length=LONGEST_PASSWORD)

    def validate_password(self, password: str) -> str:
        try:
            CommonPasswordValidator().validate(password)
        except Unfit as unfit:
            raise ValidationError(unfit.messages) from unfit
        return password
