"""Catalogue (Category → Product → Variant), Stock counters, and encrypted CardKeys."""

import uuid
from hashlib import sha256
from typing import Any

from django.core.validators import FileExtensionValidator, MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from cardshop.common.money import CURRENCIES, MAX_MINOR
from cardshop.common.rich_text import LONGEST
from inventory.access_models import AccessKind, KeyAccess, KeyRequest, RequestStatus

__all__ = [
    "LONGEST_ANSWER",
    "MOST_BUYER_FIELDS",
    "AccessKind",
    "BatchState",
    "BuyerField",
    "CardKey",
    "CardKeyStatus",
    "Category",
    "Fulfilment",
    "ImportFailure",
    "IndexKey",
    "KeyAccess",
    "KeyBatch",
    "KeyRequest",
    "KeyUpload",
    "Layout",
    "LeftOutLine",
    "LeftOutReason",
    "Product",
    "ProductImage",
    "RequestStatus",
    "Selling",
    "Stock",
    "StockDisplay",
    "UploadChunk",
    "Variant",
    "VoidBecause",
]


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


class Stock(models.Model):
    """How many of a variant there are, in a pool: `public`, or one set aside.

    `total`: keys that are not void, or what the merchant has set for goods that have no keys of their
    own. `released`: what is open for sale so far. Both are null for unlimited goods. `claimed`: held and
    sold together; a sale does not touch it again, only a release does. `short`: how many of those have lost
    their key, which was withdrawn. Its own row, so that hot updates never rewrite the catalogue. Every
    write is relative and raises `version`.
    """

    PUBLIC = "public"

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT)
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="stocks")
    pool = models.CharField(_("pool"), max_length=40, default=PUBLIC)
    total = models.BigIntegerField(_("total"), null=True, default=0)
    released = models.BigIntegerField(_("released"), null=True, default=0)
    claimed = models.BigIntegerField(_("claimed"), default=0)
    short = models.BigIntegerField(_("short of keys"), default=0, db_default=0)
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
            # While an order waits for a key, nothing is for sale.
            models.CheckConstraint(
                condition=Q(short=0) | Q(short__gte=0, short__lte=F("claimed"), total=F("claimed")),
                name="stock_short_first",
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


class BatchState(models.TextChoices):
    QUEUED = "queued", _("waiting to be imported")
    RUNNING = "running", _("being imported")
    DONE = "done", _("imported")
    FAILED = "failed", _("failed")
    UNDOING = "undoing", _("being undone")
    UNDONE = "undone", _("undone")


class ImportFailure(models.TextChoices):
    """Why an import ended before its end. What it had stored by then stays, and can be undone."""

    CANNOT_OPEN = (
        "cannot_open",
        _(
            "The upload was altered or cut off after it came in, or the encryption key (CARD_KEY_KEK) is not"
            " the one it was sealed with. Import it again."
        ),
    )
    NO_COLUMN = "no_column", _("There is no column with this heading.")
    EMPTY = "empty", _("There was not a single key in it.")
    NOT_BY_KEYS = "not_by_keys", _("The buyers of this variant get something else than keys.")


class KeyBatch(models.Model):
    """Card keys that came together, and from where; of an import, how far it is.

    `imported` counts what was stored, and `undone` how many of those were taken back since. `expires_on`:
    the last day on which they are good.
    """

    class Origin(models.TextChoices):
        IMPORTED = "imported", _("imported")
        TYPED = "typed", _("filled in for an order")
        REUSABLE = "reusable", _("for every buyer")

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    variant = models.ForeignKey(
        Variant, on_delete=models.PROTECT, related_name="batches", verbose_name=_("variant")
    )
    origin = models.CharField(
        _("origin"), max_length=10, choices=Origin, default=Origin.IMPORTED, db_default=Origin.IMPORTED
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
    state = models.CharField(
        _("state"),
        max_length=10,
        choices=BatchState,
        default=BatchState.DONE,
        db_default=BatchState.DONE,
    )
    failure = models.CharField(
        _("failed because"),
        max_length=20,
        choices=ImportFailure,
        blank=True,
        default="",
        db_default="",
    )
    lines = models.PositiveIntegerField(_("lines read"), default=0, db_default=0)
    imported = models.PositiveIntegerField(_("imported"), default=0)
    duplicates = models.PositiveIntegerField(_("duplicates left out"), default=0)
    refused = models.PositiveIntegerField(_("lines refused"), default=0)
    undone = models.PositiveIntegerField(_("taken back"), default=0, db_default=0)

    class Meta:
        verbose_name = _("key batch")
        verbose_name_plural = _("key batches")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(unit_cost_minor=None) | (Q(unit_cost_minor__gte=0) & ~Q(cost_currency="")),
                name="keybatch_cost_has_currency",
            ),
            models.CheckConstraint(condition=Q(state__in=BatchState.values), name="keybatch_state_known"),
            models.CheckConstraint(condition=Q(undone__lte=F("imported")), name="keybatch_undone_was_there"),
        ]

    def __str__(self) -> str:
        return f"{self.variant} {localtime(self.imported_at):%Y-%m-%d %H:%M}"


class LeftOutReason(models.TextChoices):
    TOO_LONG = "too_long", _("too long")
    NOT_TEXT = "not_text", _("not plain text")
    REPEATED = "repeated", _("stands twice in what was imported")
    KNOWN = "known", _("already in the shop")


class LeftOutLine(models.Model):
    """A line that did not become a key, by its number, and never what stood there."""

    batch = models.ForeignKey(
        KeyBatch, on_delete=models.CASCADE, related_name="left_out_lines", db_index=False
    )
    line = models.PositiveIntegerField()
    reason = models.CharField(max_length=10, choices=LeftOutReason)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "line"], name="line_left_out_once")]

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class Layout(models.TextChoices):
    LINES = "lines", _("One key a line")
    CSV = "csv", _("CSV, its first row has headings")
    BARE_CSV = "bare_csv", _("CSV without headings")


class KeyUpload(models.Model):
    """Keys that were sent and are still to be read: sealed in chunks, and gone with the end of the import.

    Without a batch it has not been accepted yet; what is left that way is swept. `sealed_key` is the data
    key of its chunks. `size` counts the bytes in clear, the first `position` of which are read.
    """

    shop = models.ForeignKey("shops.Shop", null=True, on_delete=models.PROTECT)
    batch = models.OneToOneField(KeyBatch, null=True, on_delete=models.PROTECT, related_name="upload")
    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    sealed_key = models.BinaryField(editable=False)
    encoding = models.CharField(max_length=10, blank=True)
    layout = models.CharField(max_length=10, choices=Layout, default=Layout.LINES)
    heading = models.CharField(max_length=120, blank=True)
    chunk_count = models.PositiveIntegerField(default=0)
    size = models.BigIntegerField(default=0)
    position = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = _("key upload")
        verbose_name_plural = _("key uploads")
        constraints = [
            models.CheckConstraint(
                condition=Q(position__gte=0, position__lte=F("size")), name="upload_position_is_in_it"
            )
        ]

    def __str__(self) -> str:
        return f"upload {self.pk}"


class UploadChunk(models.Model):
    """A part of an upload. Sealed with its number and whether it is the last one."""

    upload = models.ForeignKey(KeyUpload, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    number = models.PositiveIntegerField()
    sealed = models.BinaryField(editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["upload", "number"], name="upload_chunk_once")]

    def __str__(self) -> str:
        return f"chunk {self.number} of upload {self.upload_id}"


class CardKeyStatus(models.TextChoices):
    AVAILABLE = "available", _("available")
    SOLD = "sold", _("sold")
    VOID = "void", _("void")


class VoidBecause(models.TextChoices):
    EXPIRED = "expired", _("expired")
    WITHDRAWN = "withdrawn", _("withdrawn")
    REPLACED = "replaced", _("replaced by another")
    DAMAGED = "damaged", _("damaged")


class CardKey(models.Model):
    """One secret, encrypted. It opens only with its own `uid` and variant as context.

    `fingerprint` is the keyed blind index: equal secrets of a shop have equal fingerprints. What a person
    types for buyers has none, since two may well get the same words. A reusable key stays available
    while it is the one that buyers get, and is sold once another has taken its place. `expires_on` is the
    batch's, so that one index finds the keys that expire first. What is void stays void.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT)
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="card_keys")
    batch = models.ForeignKey(KeyBatch, on_delete=models.PROTECT, related_name="card_keys")
    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    status = models.CharField(
        _("status"), max_length=10, choices=CardKeyStatus, default=CardKeyStatus.AVAILABLE
    )
    void_because = models.CharField(
        _("void because"), max_length=10, choices=VoidBecause, blank=True, default="", db_default=""
    )
    sealed = models.BinaryField(editable=False)
    fingerprint = models.BinaryField(max_length=32, null=True, editable=False)
    is_reusable = models.BooleanField(_("for every buyer"), default=False, db_default=False, editable=False)
    expires_on = models.DateField(_("good until"), null=True, blank=True)

    class Meta:
        verbose_name = _("card key")
        verbose_name_plural = _("card keys")
        permissions = [
            ("reveal_cardkey", _("May see a card key in clear")),
            ("export_cardkey", _("May export the card keys of a batch")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["shop", "fingerprint"],
                condition=~Q(status=CardKeyStatus.VOID),
                name="cardkey_once_per_shop",
            ),
            models.UniqueConstraint(
                fields=["variant"],
                condition=Q(is_reusable=True, status=CardKeyStatus.AVAILABLE),
                name="one_reusable_key_at_a_time",
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
