"""Reseller and ApiKey: who buys by program, and what each program, theirs or the merchant's, shows."""

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from cardshop.common.crypto import CannotOpen, keyring


class Reseller(models.Model):
    """A business that buys from one shop and pays from its balance there. Nobody else spends that balance.

    `priced_since` is when it got the price list that it has, or lost the one it had; null: never.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    name = models.CharField(_("name"), max_length=120)
    contact_email = models.EmailField(_("contact e-mail"))
    balance = models.OneToOneField(
        "payments.Balance", on_delete=models.PROTECT, related_name="reseller", editable=False
    )
    price_list = models.ForeignKey(
        "resellers.PriceList",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="resellers",
        verbose_name=_("price list"),
        help_text=_("Empty: they pay what everybody pays."),
    )
    priced_since = models.DateTimeField(_("prices since"), null=True, editable=False)
    is_suspended = models.BooleanField(
        _("suspended"), default=False, help_text=_("None of its keys opens anything meanwhile.")
    )
    since = models.DateTimeField(_("since"), editable=False)

    class Meta:
        verbose_name = _("reseller")
        verbose_name_plural = _("resellers")
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["shop", "name"], name="reseller_name_per_shop")]

    def __str__(self) -> str:
        return self.name


class Scope(models.TextChoices):
    """What a reseller's key may be used for."""

    CATALOGUE = "catalogue", _("see products, prices and stock")
    BALANCE = "balance", _("see the balance and its entries")
    ORDERS = "orders", _("see orders, without keys")
    BUY = "buy", _("buy and cancel")
    KEYS = "keys", _("read card keys")
    WEBHOOKS = "webhooks", _("have events sent to an address")


class MerchantScope(models.TextChoices):
    """What a key of the merchant's own may be used for."""

    CATALOGUE_READ = "catalogue:read", _("see products, prices and stock")
    CATALOGUE_WRITE = "catalogue:write", _("change prices, limits and what is on sale")
    STOCK_WRITE = "stock:write", _("import card keys and set stock")
    ORDERS_READ = "orders:read", _("see orders and refunds, without keys")
    ORDERS_WRITE = "orders:write", _("fill in orders, replace keys, mail again")
    REFUNDS_WRITE = "refunds:write", _("ask for refunds")
    STATISTICS_READ = "statistics:read", _("see figures")
    KEYS_READ = "keys:read", _("see card keys in clear: noted each time")


class Proof(models.TextChoices):
    """How a program shows that it has the secret."""

    SIGNED = "signed", _("signs every request")
    BEARER = "bearer", _("sends the secret along: for reading only")


# What a secret may do that is sent along with every request: nothing that costs money or shows a key.
BEARER_SCOPES: frozenset[str] = frozenset(
    {
        *(Scope.CATALOGUE, Scope.BALANCE, Scope.ORDERS),
        *(MerchantScope.CATALOGUE_READ, MerchantScope.ORDERS_READ, MerchantScope.STATISTICS_READ),
    }
)


class ApiKey(models.Model):
    """Of a reseller, or without one the merchant's own, for whatever the shop has.

    `name` is public and stands in every request; the secret was shown once.

    Of a key that signs the secret is sealed, since whoever checks a signature needs it; of one that is sent
    along only a digest is kept. `networks` are addresses or networks, one a line, empty for everywhere.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, verbose_name=_("shop"))
    reseller = models.ForeignKey(
        Reseller,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="api_keys",
        verbose_name=_("reseller"),
        help_text=_("Empty: your own, for the whole shop."),
    )
    name = models.CharField(_("key"), max_length=24, unique=True, editable=False)
    label = models.CharField(_("used by"), max_length=80, help_text=_("For yourself: which program has it."))
    proof = models.CharField(_("proof"), max_length=10, choices=Proof, default=Proof.SIGNED)
    scopes = models.JSONField(_("may"), default=list)
    networks = models.TextField(_("from these addresses only"), blank=True, max_length=2000)
    sealed_secret = models.BinaryField(null=True, editable=False)
    secret_digest = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), editable=False)
    expires_at = models.DateTimeField(_("works until"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    followed_by = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, editable=False)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(proof=Proof.SIGNED, sealed_secret__isnull=False, secret_digest="")
                | Q(proof=Proof.BEARER, sealed_secret__isnull=True) & ~Q(secret_digest=""),
                name="api_key_has_its_secret",
            ),
            models.CheckConstraint(
                condition=Q(reseller__isnull=False, scopes__contained_by=Scope.values)
                | Q(reseller=None, scopes__contained_by=MerchantScope.values),
                name="api_key_scopes_fit_whose_it_is",
            ),
        ]

    def __str__(self) -> str:
        return self.label or self.name

    @property
    def acts_as(self) -> str:
        """Who did it, where it is noted. No account of a person can be called so."""
        return f"{self.label} ({self.name})"

    @property
    def secret_context(self) -> bytes:
        """What the sealed secret is bound to."""
        return f"api-key:{self.name}".encode()

    def opened_secret(self) -> str:
        """Of a key that signs. Raises CannotOpen."""
        if self.sealed_secret is None:
            raise CannotOpen("it has no sealed secret")
        return keyring().open(bytes(self.sealed_secret), self.secret_context).decode()

    def works_at(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
