"""The configured ways to pay."""

import json

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from cardshop.common.crypto import CannotOpen, keyring


class PaymentChannel(models.Model):
    """A configured way to pay. `driver` names the code that speaks to the provider (`payments.gateways`).

    The secret is sealed; `secret` opens it for the driver and nobody else. A driver that speaks to no
    provider has none. `provider_key` is the provider's public key, where it signs with one; `options` are
    the driver's other settings.

    Of one payment the provider keeps `fee_basis_points` hundredths of a percent and `fee_fixed_minor`. Of the
    channels of a method, a pinned one goes before all others while it works.
    """

    METHODS = [
        ("alipay", _("Alipay")),
        ("wxpay", _("WeChat Pay")),
        ("qqpay", _("QQ Wallet")),
        ("bank", _("bank card")),
        ("card", _("credit or debit card")),
        ("usdt", "USDT"),
        ("paypal", "PayPal"),
        ("balance", _("balance")),
    ]

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    slug = models.SlugField(_("short name"), max_length=40)
    name = models.CharField(_("name"), max_length=60)
    name_en = models.CharField(_("name in English"), max_length=60, blank=True)
    driver = models.CharField(_("driver"), max_length=20, default="epay_v1")
    method = models.CharField(_("method"), max_length=20, choices=METHODS, default="alipay")
    base_url = models.URLField(_("address of the provider"), help_text=_("Such as https://pay.example.com/"))
    merchant_id = models.CharField(_("merchant id"), max_length=120)
    provider_key = models.TextField(_("public key of the provider"), max_length=2000, blank=True)
    options = models.JSONField(default=dict, blank=True, editable=False)
    sealed_secret = models.BinaryField(editable=False, null=True)
    is_enabled = models.BooleanField(_("enabled"), default=True)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    is_pinned = models.BooleanField(_("pinned"), default=False)
    fee_basis_points = models.PositiveSmallIntegerField(_("fee in hundredths of a percent"), default=0)
    fee_fixed_minor = models.PositiveIntegerField(_("fixed fee in minor units"), default=0)
    least_minor = models.PositiveBigIntegerField(_("least amount in minor units"), null=True, blank=True)
    most_minor = models.PositiveBigIntegerField(_("largest amount in minor units"), null=True, blank=True)

    class Meta:
        verbose_name = _("payment channel")
        verbose_name_plural = _("payment channels")
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["shop", "slug"], name="channel_slug_per_shop"),
            models.CheckConstraint(condition=Q(fee_basis_points__lte=10_000), name="channel_fee_below_all"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def secret_context(self) -> bytes:
        """What the sealed secret is bound to."""
        parts = ["channel-secret", str(self.shop_id), self.slug, self.base_url]
        if self.provider_key or self.options:
            parts.append(self.provider_key)
        if self.options:
            parts.append(json.dumps(self.options, sort_keys=True))
        return ":".join(parts).encode()

    @property
    def account(self) -> tuple[int, str, str, bool]:
        """The same for all channels of one account at the provider: each is told of the others' trades.

        Stripe calls an account by the same id for test keys, which see none of what the live ones see.
        """
        return self.shop_id, self.base_url, self.merchant_id, self._has_test_key

    @property
    def _has_test_key(self) -> bool:
        try:
            return self.driver == "stripe_checkout" and "k_test_" in self.secret
        except CannotOpen:
            return False

    @property
    def secret(self) -> str:
        """The credential in clear. Raises CannotOpen."""
        if self.sealed_secret is None:
            raise CannotOpen("it has no secret")
        return keyring().open(bytes(self.sealed_secret), self.secret_context).decode()

    def seal_secret(self, secret: str) -> None:
        """Bound to shop, slug, address, options and the provider's key: whoever changes where calls go, or
        who is believed, must enter it again.
        """
        self.sealed_secret = keyring().seal(secret.encode(), self.secret_context)
