"""What is listed: Category → Product → Variant, and what a variant asks its buyers."""

from hashlib import sha256
from typing import Any

from django.core.validators import FileExtensionValidator, MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from cardshop.common.money import CURRENCIES, MAX_MINOR
from cardshop.common.rich_text import LONGEST


class Category(models.Model):
    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    slug = models.SlugField(_("short name"), max_length=60)
    name = models.CharField(_("name"), max_length=60)
    name_en = models.CharField(_("name in English"), max_length=60, blank=True)
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("category")
        verbose_name_plural = _("categories")
        ordering = ["position", "pk"]
        constraints = [models.UniqueConstraint(fields=["shop", "slug"], name="category_slug_per_shop")]

    def __str__(self) -> str:
        return self.name


class StockDisplay(models.TextChoices):
    EXACT = "exact", _("exactly: 37 in stock")
    FUZZY = "fuzzy", _("roughly: in stock, few left, sold out")
    HIDDEN = "hidden", _("only when it is sold out")


class Product(models.Model):
    """Something listed in the shop. What has a price is its Variants.

    `updated_at` moves with every change of the row, by a trigger: it is changed in many ways. So does a
    Variant's.
    `description` and `usage_notes` are Markdown, and not to be trusted: see `cardshop.common.rich_text`.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    category = models.ForeignKey(
        Category, null=True, blank=True, on_delete=models.SET_NULL, verbose_name=_("category")
    )
    slug = models.SlugField(_("short name"), max_length=60)
    name = models.CharField(_("name"), max_length=120)
    name_en = models.CharField(_("name in English"), max_length=120, blank=True)
    summary = models.CharField(_("summary"), max_length=200, blank=True)
    summary_en = models.CharField(_("summary in English"), max_length=200, blank=True)
    description = models.TextField(
        _("description"),
        max_length=LONGEST,
        blank=True,
        help_text=_(
            "Markdown or simple HTML: **bold**, # heading, - list, [text](https://…). A picture of the shop's"
            " products can stand in it by its address: ![what is on it](/media/products/…)."
        ),
    )
    description_en = models.TextField(_("description in English"), max_length=LONGEST, blank=True)
    usage_notes = models.TextField(
        _("usage notes"),
        max_length=LONGEST,
        blank=True,
        help_text=_(
            "How to use the key. Shown on the order page once it is paid, and mailed with the delivery."
            " Markdown as above; buyers see it as it is now, also with orders of long ago."
        ),
    )
    usage_notes_en = models.TextField(_("usage notes in English"), max_length=LONGEST, blank=True)
    stock_display = models.CharField(
        _("buyers see the stock"), max_length=10, choices=StockDisplay, default=StockDisplay.EXACT
    )
    is_listed = models.BooleanField(_("listed"), default=False)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("product")
        verbose_name_plural = _("products")
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["shop", "slug"], name="product_slug_per_shop"),
            models.CheckConstraint(
                condition=Q(stock_display__in=StockDisplay.values), name="product_stock_display_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name


def image_path(image: "ProductImage", filename: str) -> str:
    """Named by content, so that the address may be cached for ever."""
    image.file.seek(0)
    digest = sha256(image.file.read()).hexdigest()[:24]
    image.file.seek(0)
    return f"products/{digest}.{filename.rpartition('.')[2].lower()}"


class ProductImage(models.Model):
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="images")
    file = models.ImageField(
        _("picture"),
        upload_to=image_path,
        validators=[FileExtensionValidator(["png", "jpg", "jpeg", "webp"])],
        width_field="width",
        height_field="height",
    )
    width = models.PositiveIntegerField(editable=False, default=0)
    height = models.PositiveIntegerField(editable=False, default=0)
    alt = models.CharField(_("description for the blind"), max_length=120, blank=True)
    alt_en = models.CharField(_("description for the blind, in English"), max_length=120, blank=True)
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("picture")
        verbose_name_plural = _("pictures")
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.alt or str(self.file)


class Selling(models.TextChoices):
    DIRECT = "direct", _("directly")
    QUEUED = "queued", _("through a line, for a rush")


class Fulfilment(models.TextChoices):
    """What a buyer gets: a key of their own, the text that all get, or what a person fills in."""

    CARD_KEY = "card_key", _("card keys, each sold once")
    REUSABLE = "reusable", _("one key or text for every buyer")
    MANUAL = "manual", _("filled in by hand")


class Variant(models.Model):
    """The thing with a price. `code` names it in links and APIs.

    Sold through a line, a Sale says on what terms. `is_isolated` gives it an allocator process and a
    queue of workers of its own, so that its rush slows nothing else. `fulfilment` changes by
    `orders.services.kinds.change_kind` only: a save leaves it as it is.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="variants", verbose_name=_("product")
    )
    code = models.SlugField(_("code"), max_length=60)
    name = models.CharField(_("name"), max_length=80)
    name_en = models.CharField(_("name in English"), max_length=80, blank=True)
    price_minor = models.BigIntegerField(_("price"), validators=[MinValueValidator(1)])
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCIES, default="CNY")
    min_quantity = models.PositiveSmallIntegerField(_("least per order"), default=1)
    max_quantity = models.PositiveSmallIntegerField(_("most per order"), default=10)
    per_buyer_limit = models.PositiveSmallIntegerField(
        _("most per buyer"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Over all orders with the same e-mail address. Empty: no limit."),
    )
    fulfilment = models.CharField(
        _("what buyers get"),
        max_length=10,
        choices=Fulfilment,
        default=Fulfilment.CARD_KEY,
        db_default=Fulfilment.CARD_KEY,
    )
    fulfil_within_hours = models.PositiveSmallIntegerField(
        _("filled in within (hours)"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(30 * 24)],
        help_text=_("What buyers are promised where a person fills in. Later than that, it needs you."),
    )
    selling = models.CharField(_("way of selling"), max_length=10, choices=Selling, default=Selling.DIRECT)
    is_isolated = models.BooleanField(
        _("isolated"),
        default=False,
        help_text=_("Its rush gets processes of its own: the isolated allocator and the hot workers."),
    )
    sells_in_waves = models.BooleanField(
        _("sold in waves"),
        default=False,
        help_text=_(
            "New keys stay closed until a wave of the sale opens them. Off: all are for sale at once."
        ),
    )
    on_sale_from = models.DateTimeField(
        _("on sale from"),
        null=True,
        blank=True,
        help_text=_("For what is sold directly; what is sold through a line has its times in its sale."),
    )
    on_sale_until = models.DateTimeField(_("on sale until"), null=True, blank=True)
    low_stock_at = models.PositiveIntegerField(
        _("low at"),
        null=True,
        blank=True,
        help_text=_("You are told when no more than so many are left. Empty: never."),
    )
    is_active = models.BooleanField(_("for sale"), default=True)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    updated_at = models.DateTimeField(_("changed at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("variant")
        verbose_name_plural = _("variants")
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["shop", "code"], name="variant_code_per_shop"),
            models.CheckConstraint(
                condition=Q(price_minor__gt=0, price_minor__lte=MAX_MINOR),
                name="variant_price_is_positive",
            ),
            models.CheckConstraint(
                condition=Q(min_quantity__gte=1, max_quantity__gte=F("min_quantity")),
                name="variant_quantities_make_sense",
            ),
            models.CheckConstraint(
                condition=Q(on_sale_from=None)
                | Q(on_sale_until=None)
                | Q(on_sale_until__gt=F("on_sale_from")),
                name="variant_sale_ends_after_it_begins",
            ),
            models.CheckConstraint(
                condition=Q(fulfilment__in=[Fulfilment.CARD_KEY, Fulfilment.REUSABLE])
                | Q(fulfilment=Fulfilment.MANUAL, fulfil_within_hours__gte=1),
                name="variant_by_hand_within_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product} · {self.name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding and kwargs.get("update_fields") is None:
            # Whoever read it before its kind was changed must not change it back.
            kept = [field.name for field in self._meta.concrete_fields if not field.primary_key]
            kwargs["update_fields"] = [name for name in kept if name != "fulfilment"]
        super().save(*args, **kwargs)

    @property
    def promised_hours(self) -> int | None:
        """Within which a person fills in an order; None for what is delivered at once."""
        return self.fulfil_within_hours if self.fulfilment == Fulfilment.MANUAL else None


MOST_BUYER_FIELDS = 5
LONGEST_ANSWER = 500


class BuyerField(models.Model):
    """What a buyer is asked for, of a variant that is filled in by hand: at most five things."""

    class Kind(models.TextChoices):
        TEXT = "text", _("text")
        NUMBER = "number", _("digits")
        EMAIL = "email", _("e-mail")

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="buyer_fields")
    position = models.PositiveSmallIntegerField(
        _("position"), validators=[MinValueValidator(1), MaxValueValidator(MOST_BUYER_FIELDS)]
    )
    name = models.CharField(_("name"), max_length=40)
    name_en = models.CharField(_("name in English"), max_length=40, blank=True)
    kind = models.CharField(_("kind"), max_length=6, choices=Kind, default=Kind.TEXT)
    is_required = models.BooleanField(_("required"), default=True)
    max_length = models.PositiveSmallIntegerField(
        _("characters at most"),
        default=100,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_ANSWER)],
    )

    class Meta:
        verbose_name = _("question to the buyer")
        verbose_name_plural = _("questions to the buyer")
        ordering = ["position"]
        constraints = [
            # With the next one: never more than five. At commit, since a form may swap two.
            models.UniqueConstraint(
                fields=["variant", "position"],
                name="one_buyer_field_per_position",
                deferrable=models.Deferrable.DEFERRED,
            ),
            models.CheckConstraint(
                condition=Q(position__gte=1, position__lte=MOST_BUYER_FIELDS),
                name="buyer_field_position_in_range",
            ),
            models.CheckConstraint(
                condition=Q(max_length__gte=1, max_length__lte=LONGEST_ANSWER),
                name="buyer_field_length_in_range",
            ),
        ]

    def __str__(self) -> str:
        return self.name
