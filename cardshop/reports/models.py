"""Figures by day, made of the rows of orders and payments and able to be made again at any time.

Days are those of settings.TIME_ZONE. Rows of one day and kind are replaced together: see `counting`.
Nothing here is ever a reason to do something; money and keys are decided by the rows themselves.
"""

from django.db import models

from cardshop.common.money import CURRENCIES


class RollUp(models.Model):
    """How far it goes; the only row. All that happened before `up_to` is counted.

    `event_id` and `attempt_id`: up to which OrderEvent and PaymentAttempt it has followed what happens, less
    a margin for transactions that were still open. `zone` is the one that the days were made with.
    """

    ONLY = 1

    up_to = models.DateTimeField(null=True)
    event_id = models.BigIntegerField(default=0)
    attempt_id = models.BigIntegerField(default=0)
    zone = models.CharField(max_length=60)

    def __str__(self) -> str:
        return f"up to {self.up_to}"


class OfADay(models.Model):
    # The unique constraints begin with both. Figures go with what they are about.
    shop = models.ForeignKey("shops.Shop", on_delete=models.CASCADE, db_index=False, related_name="+")
    day = models.DateField()

    class Meta:
        abstract = True


class DailySales(OfADay):
    """Of a variant, by the day on which the money came: `orders` whose first line it is, `units`, and
    `revenue_minor` at the frozen prices. `refunded_minor`, by the day on which it was back with the buyer, is
    what was taken off revenue: not what had been paid on top of a price.
    """

    variant = models.ForeignKey(
        "inventory.Variant", on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    currency = models.CharField(max_length=3, choices=CURRENCIES)
    orders = models.PositiveIntegerField()
    units = models.PositiveIntegerField()
    revenue_minor = models.BigIntegerField()
    refunded_minor = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["shop", "day", "variant", "currency"], name="sales_once_per_day_and_variant"
            )
        ]


class DailyDeliveries(OfADay):
    """Of a batch, by the day on which keys were handed over: `units`, and the `revenue_minor` that they were
    sold for. A replacement is a unit without revenue. `returned_minor` is what was refunded of such revenue.
    What a unit has cost stands in the batch, where it may be corrected at any time.
    """

    batch = models.ForeignKey(
        "inventory.KeyBatch", on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    currency = models.CharField(max_length=3, choices=CURRENCIES)
    units = models.PositiveIntegerField()
    revenue_minor = models.BigIntegerField()
    returned_minor = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["shop", "day", "batch", "currency"], name="deliveries_once_per_day_and_batch"
            )
        ]


class DailyOrders(OfADay):
    """How many of the orders placed on a day are in which state now."""

    status = models.CharField(max_length=12)
    orders = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["shop", "day", "status"], name="orders_once_per_day_and_status")
        ]


class DailyAttempts(OfADay):
    """Of a channel, by the day on which buyers began to pay: how many did, and `paid` in the end."""

    channel = models.ForeignKey(
        "payments.PaymentChannel", on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    attempts = models.PositiveIntegerField()
    paid = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["shop", "day", "channel"], name="attempts_once_per_day_and_channel"
            )
        ]
