"""A shop: the owner of every product, order and payment. The host name of a request selects it.

Who looks after it are its members, each in a role.
"""

from django.conf import settings
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


class FirstSteps(models.Model):
    """What somebody said while setting the shop up; all other steps show in what there is."""

    shop = models.OneToOneField(Shop, on_delete=models.CASCADE, related_name="first_steps")
    mail_arrived_at = models.DateTimeField(null=True)
    dismissed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"first steps of {self.shop}"


class Role(models.TextChoices):
    """What each may do stands in `cardshop.shops.roles`."""

    OWNER = "owner", _("owner")
    MANAGER = "manager", _("manager")
    SUPPORT = "support", _("support")
    FINANCE = "finance", _("finance")
    VIEWER = "viewer", _("viewer")
    # What Django's own permissions of this person and their groups say. Only superusers can give those.
    CUSTOM = "custom", _("as set by hand")


class Membership(models.Model):
    """Somebody looks after a shop. A person may be in several, with another role in each."""

    shop = models.ForeignKey(
        Shop, on_delete=models.PROTECT, related_name="memberships", verbose_name=_("shop")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="shop_memberships",
        verbose_name=_("person"),
    )
    role = models.CharField(_("role"), max_length=10, choices=Role)
    since = models.DateTimeField(_("member since"))

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        ordering = ["shop", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["shop", "user"], name="member_once_per_shop"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="member_role_known"),
        ]

    def __str__(self) -> str:
        return str(self.user)
