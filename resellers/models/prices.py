"""PriceList → PriceTier and OnwardPrice: what resellers pay, and below which price they may not sell."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from cardshop.common.money import CURRENCIES, MAX_MINOR

WHOLE = 10_000  # basis points


class PriceList(models.Model):
    """Prices for the resellers who have it. Of variants in another currency it says nothing.

    What has no tier for the quantity costs its own price less the discount. `changed_at` moves with whatever
    is changed of the list, its tiers and onward prices too.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    name = models.CharField(_("name"), max_length=60)
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCIES)
    discount_basis_points = models.PositiveSmallIntegerField(
        _("discount in hundredths of a percent"),
        default=0,
        validators=[MaxValueValidator(WHOLE - 1)],
    )
    changed_at = models.DateTimeField(_("changed at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("price list")
        verbose_name_plural = _("price lists")
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["shop", "name"], name="price_list_name_per_shop"),
            models.CheckConstraint(
                condition=Q(discount_basis_points__gte=0, discount_basis_points__lt=WHOLE),
                name="price_list_leaves_a_price",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PriceTier(models.Model):
    """The price of each unit, for whoever takes `from_quantity` or more in one line of an order."""

    price_list = models.ForeignKey(PriceList, on_delete=models.CASCADE, related_name="tiers")
    variant = models.ForeignKey(
        "inventory.Variant", on_delete=models.CASCADE, related_name="+", verbose_name=_("variant")
    )
    from_quantity = models.PositiveIntegerField(
        _("from quantity"), default=1, validators=[MinValueValidator(1)]
    )
    unit_price_minor = models.BigIntegerField(_("price"))

    class Meta:
        verbose_name = _("price by quantity")
        verbose_name_plural = _("prices by quantity")
        ordering = ["variant", "from_quantity"]
        constraints = [
            models.UniqueConstraint(
                fields=["price_list", "variant", "from_quantity"], name="one_tier_per_quantity"
            ),
            models.CheckConstraint(
                condition=Q(unit_price_minor__gt=0, unit_price_minor__lte=MAX_MINOR),
                name="tier_price_is_positive",
            ),
            models.CheckConstraint(condition=Q(from_quantity__gte=1), name="tier_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.variant} ≥ {self.from_quantity}"


class OnwardPrice(models.Model):
    """The least that a reseller with this list may ask of buyers of their own."""

    price_list = models.ForeignKey(PriceList, on_delete=models.CASCADE, related_name="onward_prices")
    variant = models.ForeignKey(
        "inventory.Variant", on_delete=models.CASCADE, related_name="+", verbose_name=_("variant")
    )
    least_minor = models.BigIntegerField(_("not below"))

    class Meta:
        verbose_name = _("least price for onward sale")
        verbose_name_plural = _("least prices for onward sale")
        ordering = ["variant"]
        constraints = [
            models.UniqueConstraint(fields=["price_list", "variant"], name="one_onward_price_per_variant"),
            models.CheckConstraint(
                condition=Q(least_minor__gt=0, least_minor__lte=MAX_MINOR), name="onward_price_is_positive"
            ),
        ]

    def __str__(self) -> str:
        return str(self.variant)
