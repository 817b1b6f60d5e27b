"""A shop: the owner of every product, order and payment. The host name of a request selects it."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from cardshop.common.money import CURRENCIES


class Shop(models.Model):
    slug = models.SlugField(_("short name"), unique=True)
    name = models.CharField(_("name"), max_length=80)
    name_en = models.CharField(_("name in English"), max_length=80, blank=True)
    host = models.CharField(
        _("host name"),
        max_length=255,
        unique=True,
        help_text=_("The address buyers type, such as shop.example.com, without https:// and port."),
    )
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCIES, default="CNY")
    contact_email = models.EmailField(_("support e-mail"), blank=True)
    mail_plain_keys = models.BooleanField(
        _("put the keys into the mail"),
        default=False,
        help_text=_("Otherwise the mail has a link to the order page. Mail is not a safe place for keys."),
    )
    refunds_need_two = models.BooleanField(
        _("a second person approves refunds"),
        default=False,
        help_text=_("Whoever asks for a refund cannot let it go out alone."),
    )
    key_export_needs_two = models.BooleanField(
        _("a second person approves before staff see keys"),
        default=False,
        db_default=False,
        help_text=_("Whoever asks to see a card key, or to export some, cannot do it alone."),
    )
    is_open = models.BooleanField(_("open"), default=True)

    class Meta:
        verbose_name = _("shop")
        verbose_name_plural = _("shops")

    def __str__(self) -> str:
        return self.name
