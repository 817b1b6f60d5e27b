"""Catalogue (Category → Product → Variant), Stock counters, and encrypted CardKeys."""

import uuid
from hashlib import sha256

from django.core.validators import FileExtensionValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from cardshop.common.money import CURRENCIES, MAX_MINOR


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


class Product(models.Model):
    """Something listed in the shop. What has a price is its Variants."""

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    category = models.ForeignKey(
        Category, null=True, blank=True, on_delete=models.SET_NULL, verbose_name=_("category")
    )
    slug = models.SlugField(_("short name"), max_length=60)
    name = models.CharField(_("name"), max_length=120)
    name_en = models.CharField(_("name in English"), max_length=120, blank=True)
    summary = models.CharField(_("summary"), max_length=200, blank=True)
    summary_en = models.CharField(_("summary in English"), max_length=200, blank=True)
    description = models.TextField(_("description"), blank=True)
    description_en = models.TextField(_("description in English"), blank=True)
    is_listed = models.BooleanField(_("listed"), default=False)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("product")
        verbose_name_plural = _("products")
        ordering = ["position", "pk"]
        constraints = [models.UniqueConstraint(fields=["shop", "slug"], name="product_slug_per_shop")]

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


class Variant(models.Model):
    """The thing with a price. `code` names it in links and APIs.

    Sold through a line, a Sale says on what terms. `is_isolated` gives it an allocator process and a
    queue of workers of its own, so that its rush slows nothing else.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="variants", verbose_name=_("product")
    )
    code = models.SlugField(_("code"), max_length=60)
    name = models.CharField(_("name"), max_length=80)
    name_en = models.CharField(_("name in English"), max_length=80, blank=True)
    price_minor = models.BigIntegerField(_("price in minor units"), validators=[MinValueValidator(1)])
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
    low_stock_at = models.PositiveIntegerField(
        _("low at"),
        null=True,
        blank=True,
        help_text=_("You are told when no more than so many are left. Empty: never."),
    )
    is_active = models.BooleanField(_("for sale"), default=True)
    position = models.PositiveSmallIntegerField(_("position"), default=0)

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
        ]

    def __str__(self) -> str:
        return f"{self.product} · {self.name}"


class Stock(models.Model):
    """How many of a variant there are, in a pool: `public`, or one set aside.

    `total`: keys that are not void. `released`: what is open for sale so far. `claimed`: held and
    sold together; a sale does not touch it again, only a release does. Its own row, so that hot
    updates never rewrite the catalogue. Every write is relative and raises `version`.
    """

    PUBLIC = "public"

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT)
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="stocks")
    pool = models.CharField(_("pool"), max_length=40, default=PUBLIC)
    total = models.BigIntegerField(_("total"), null=True, default=0)
    released = models.BigIntegerField(_("released"), null=True, default=0)
    claimed = models.BigIntegerField(_("claimed"), default=0)
    version = models.BigIntegerField(_("version"), default=0)

    class Meta:
        verbose_name = _("stock")
        verbose_name_plural = _("stock")
        constraints = [
            models.UniqueConstraint(fields=["variant", "pool"], name="stock_per_variant_and_pool"),
            # A null total or released (unlimited goods) makes its comparison unknown, and so passes.
            models.CheckConstraint(
                condition=Q(claimed__gte=0)
                & (Q(released=None) | Q(released__gte=F("claimed")))
                & (Q(total=None) | Q(total__gte=F("released"))),
                name="stock_never_oversold",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.variant} ({self.pool})"


class IndexKey(models.Model):
    """A shop's key for the blind index of its card keys, sealed under the key-encryption key.

    Its row is also the lock that lets a shop's imports go one at a time.
    """

    shop = models.OneToOneField("shops.Shop", on_delete=models.PROTECT)
    sealed = models.BinaryField()

    class Meta:
        verbose_name = _("index key")
        verbose_name_plural = _("index keys")

    def __str__(self) -> str:
        return f"index key of {self.shop}"


class KeyBatch(models.Model):
    """One import of card keys. `expires_on` is the last day on which they are good; null: for ever."""

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    variant = models.ForeignKey(
        Variant, on_delete=models.PROTECT, related_name="batches", verbose_name=_("variant")
    )
    note = models.CharField(_("note"), max_length=120, blank=True)
    unit_cost_minor = models.BigIntegerField(
        _("cost of a key in minor units"), null=True, blank=True, validators=[MinValueValidator(0)]
    )
    cost_currency = models.CharField(
        _("currency of the cost"), max_length=3, choices=CURRENCIES, blank=True, db_default="", default=""
    )
    expires_on = models.DateField(_("good until"), null=True, blank=True)
    imported_by = models.CharField(_("imported by"), max_length=150)
    imported_at = models.DateTimeField(_("imported at"))
    imported = models.PositiveIntegerField(_("imported"), default=0)
    duplicates = models.PositiveIntegerField(_("duplicates left out"), default=0)
    refused = models.PositiveIntegerField(_("lines refused"), default=0)

    class Meta:
        verbose_name = _("key batch")
        verbose_name_plural = _("key batches")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(unit_cost_minor=None) | (Q(unit_cost_minor__gte=0) & ~Q(cost_currency="")),
                name="keybatch_cost_has_currency",
            )
        ]

    def __str__(self) -> str:
        return f"{self.variant} {localtime(self.imported_at):%Y-%m-%d %H:%M}"


class CardKeyStatus(models.TextChoices):
    AVAILABLE = "available", _("available")
    SOLD = "sold", _("sold")
    VOID = "void", _("void")


class CardKey(models.Model):
    """One secret, encrypted. It opens only with its own `uid` and variant as context.

    `fingerprint` is the keyed blind index: equal secrets of a shop have equal fingerprints. `expires_on`
    is the batch's, so that one index finds the keys that expire first.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT)
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="card_keys")
    batch = models.ForeignKey(KeyBatch, on_delete=models.PROTECT, related_name="card_keys")
    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    status = models.CharField(
        _("status"), max_length=10, choices=CardKeyStatus, default=CardKeyStatus.AVAILABLE
    )
    sealed = models.BinaryField(editable=False)
    fingerprint = models.BinaryField(max_length=32, editable=False)
    expires_on = models.DateField(_("good until"), null=True, blank=True)

    class Meta:
        verbose_name = _("card key")
        verbose_name_plural = _("card keys")
        constraints = [
            models.UniqueConstraint(
                fields=["shop", "fingerprint"],
                condition=~Q(status=CardKeyStatus.VOID),
                name="cardkey_once_per_shop",
            ),
            models.CheckConstraint(condition=Q(status__in=CardKeyStatus.values), name="cardkey_status_known"),
        ]
        indexes = [
            # Ascending is NULLS LAST: keys that never expire are picked after those that do.
            models.Index(
                fields=["variant", "expires_on", "id"],
                name="cardkey_by_expiry",
                condition=Q(status=CardKeyStatus.AVAILABLE),
            )
        ]

    def __str__(self) -> str:
        return f"•••• ({self.pk})"
