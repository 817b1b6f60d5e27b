"""What it takes to find an order again without its link."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class LookupPassword(models.Model):
    """With the order's number it opens the order. `encoded` is as Django's hashers write it.

    Apart from the order, which every page of it reads whole.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT)
    order = models.OneToOneField("orders.Order", on_delete=models.CASCADE, related_name="+")
    encoded = models.CharField(max_length=128)
    set_at = models.DateTimeField()

    class Meta:
        verbose_name = _("look-up password")
        verbose_name_plural = _("look-up passwords")

    def __str__(self) -> str:
        return str(self.order_id)


class LookupRequest(models.Model):
    """Somebody asks for the links of an address's orders. It lives until its worker has looked for some.

    Nobody has said that the address is theirs, or that it has any.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT)
    contact_email = models.EmailField(_("contact e-mail"))
    language = models.CharField(_("language"), max_length=10)
    asked_at = models.DateTimeField()

    class Meta:
        verbose_name = _("look-up by e-mail")
        verbose_name_plural = _("look-ups by e-mail")

    def __str__(self) -> str:
        return str(self.pk)
