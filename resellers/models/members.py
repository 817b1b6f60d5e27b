"""ResellerMember: a person of a reseller. LogIn: somebody asks to be let in. MemberSession: whoever was."""

from django.db import models
from django.utils.translation import gettext_lazy as _

LONGEST_EMAIL = 120  # it is noted as the name of whoever did something
LONGEST_PATH = 200


class MemberRole(models.TextChoices):
    OWNER = "owner", _("account owner")
    VIEWER = "viewer", _("viewer")


class ResellerMember(models.Model):
    """Somebody who looks after a reseller's account, on its page and nowhere else: no member of the staff.

    `email` is in lower case, and may be a member of several resellers.
    """

    reseller = models.ForeignKey(
        "resellers.Reseller", on_delete=models.PROTECT, related_name="members", verbose_name=_("reseller")
    )
    email = models.EmailField(_("e-mail"), max_length=LONGEST_EMAIL)
    name = models.CharField(_("name"), max_length=80, blank=True)
    role = models.CharField(
        _("role"),
        max_length=10,
        choices=MemberRole,
        default=MemberRole.OWNER,
        help_text=_("A viewer looks: no API keys, webhooks or members are changed, no card keys shown."),
    )
    since = models.DateTimeField(_("member since"), editable=False)

    class Meta:
        verbose_name = _("member of a reseller")
        verbose_name_plural = _("members of resellers")
        ordering = ["reseller", "email"]
        constraints = [
            models.UniqueConstraint(fields=["reseller", "email"], name="member_once_per_reseller"),
            models.CheckConstraint(
                condition=models.Q(role__in=MemberRole.values), name="reseller_member_role_known"
            ),
        ]
        indexes = [models.Index(fields=["email"], name="reseller_member_email")]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def acts_as(self) -> str:
        """Who did it, where it is noted. No account of the staff can be called so."""
        return f"{self.email} ({self.reseller})"[:150]


class LogIn(models.Model):
    """Somebody with that address wants in. Nobody has said yet that it is theirs, or known here.

    It is for the browser that asked, of whose secret this is a digest. `leads_to` is the page that they
    wanted. What the mail has in it stands nowhere: see `resellers.members.codes`.
    """

    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT)
    contact_email = models.EmailField(_("e-mail"))
    language = models.CharField(_("language"), max_length=10)
    browser_digest = models.CharField(max_length=64, unique=True)
    leads_to = models.CharField(max_length=LONGEST_PATH, blank=True)
    asked_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("log-in by e-mail")
        verbose_name_plural = _("log-ins by e-mail")

    def __str__(self) -> str:
        return str(self.pk)


class MemberSession(models.Model):
    """One browser of a member. Of its secret only a digest is kept; it goes with the member.

    `confirmed_at` is when its code came by mail: a session that is confirmed anew is a new one.
    """

    member = models.ForeignKey(ResellerMember, on_delete=models.CASCADE, related_name="sessions")
    token_digest = models.CharField(max_length=64, unique=True)
    confirmed_at = models.DateTimeField(db_index=True)
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name = _("session of a member")
        verbose_name_plural = _("sessions of members")

    def __str__(self) -> str:
        return str(self.pk)
