"""IdempotentWrite: what a program was answered, under the key that makes its request happen once."""

from django.db import models

from cardshop.common.crypto import keyring


class IdempotentWrite(models.Model):
    """Committed together with what the request did, so neither is there without the other.

    Of a reseller, or without one of the merchant's own programs. `status` and `answer` are null for nobody
    but the transaction that has begun it. The answer is sealed: there may be anything in it. `request_digest`
    is keyed, since a card key may have stood in the request.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, db_index=False)
    reseller = models.ForeignKey("resellers.Reseller", null=True, on_delete=models.PROTECT, db_index=False)
    key = models.CharField(max_length=64)
    request_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.BinaryField(null=True)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["shop", "reseller", "key"], nulls_distinct=False, name="write_once_per_key"
            ),
        ]
        indexes = [models.Index(fields=["at"], name="write_at")]

    def __str__(self) -> str:
        return self.key

    @property
    def answer_context(self) -> bytes:
        """What the sealed answer is bound to."""
        return f"idempotent-write:{self.shop_id}:{self.reseller_id}:{self.key}".encode()

    def seal_answer(self, plain: bytes) -> None:
        self.answer = keyring().seal(plain, self.answer_context)

    def opened_answer(self) -> bytes:
        """Raises CannotOpen."""
        return keyring().open(bytes(self.answer or b""), self.answer_context)
