"""Where card keys come from: imports, how far they are, and what they left out."""

import uuid

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from cardshop.common.money import CURRENCIES
from inventory.models.catalogue import Variant


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
    WITHDRAWN = "withdrawn", _("The batch was taken out of sale before all of it was imported.")


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
