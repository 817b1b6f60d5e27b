"""What the API refuses and no service does."""

from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError, Invalid


class ChangedMeanwhile(DomainError):
    code = "changed_meanwhile"
    http_status = 412
    message = _("Somebody has changed it since: read it again.")


class DigestMissing(DomainError):
    code = "digest_missing"
    http_status = 400
    field = "Content-Digest"
    message = _("Say the SHA-256 of the body beforehand: Content-Digest: sha-256=:…:, in base64.")


class DigestDiffers(DomainError):
    code = "digest_differs"
    http_status = 400
    field = "Content-Digest"
    message = _("What came is not what its Content-Digest says: it was cut off, or altered.")


class FileTooLarge(DomainError):
    code = "too_large"
    http_status = 413
    message = _("That is too large. Split it, and import the parts one after the other.")


class NoText(Invalid):
    message = _("This is not a text. Send it in UTF-8.")


class NotReadable(DomainError):
    code = "cannot_be_opened"
    message = _("This key does not open: see manage.py verify.")
