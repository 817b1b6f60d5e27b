"""The certificates that PayPal's notices are signed with. Each notice says where its own lies."""

import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from payments.gateways.base import BadNotice, CannotTell, GatewayError
from payments.gateways.exchange import fetch
from payments.gateways.rsa import LEAST_BITS

FAILED_FOR = 60.0  # seconds that a failure is not tried again
MOST_KEPT, MOST_FAILURES = 16, 256
PATIENCE = 2.0  # seconds for the fetching of one
_PLACE = "v1/notifications/certs/"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)


def is_from(base_url: str, url: str) -> bool:
    """Whether a certificate lies where the API itself does: on its own host, such as api-m.paypal.com, or on
    that one's older name, api.paypal.com. Who is not asked for money is not asked for certificates.
    """
    base = base_url.rstrip("/")
    for place in (f"{base}/{_PLACE}", f"{base.replace('://api-m.', '://api.', 1)}/{_PLACE}"):
        if url.startswith(place) and _NAME.fullmatch(url.removeprefix(place)):
            return True
    return False


@dataclass
class Certificates:
    """Fetched once each, one at a time, and nobody waits for another: PayPal comes again. Who sends addresses
    of none finds that each is tried once in a minute, and keeps one thread busy at most.
    """

    _kept: dict[str, x509.Certificate] = field(default_factory=dict)
    _failed: dict[str, float] = field(default_factory=dict)
    _fetching: Lock = field(default_factory=Lock)

    def key(self, http: httpx.Client, url: str, *, at: datetime) -> RSAPublicKey:
        """Network, the first time. The key of the certificate there, which has to be PayPal's and of use `at`
        that moment. Raises BadNotice, CannotTell.
        """
        certificate = self._kept.get(url) or self._fetched(http, url)
        key = certificate.public_key()
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            raise BadNotice("signed with a certificate that is out of date")
        if not _is_paypals(certificate) or not isinstance(key, RSAPublicKey) or key.key_size < LEAST_BITS:
            raise BadNotice("signed with a certificate that is not PayPal's")
        return key

    def _fetched(self, http: httpx.Client, url: str) -> x509.Certificate:
        if not self._fetching.acquire(blocking=False):
            raise CannotTell("its certificate cannot be fetched now")
        try:
            if certificate := self._kept.get(url):
                return certificate
            if time.monotonic() < self._failed.get(url, 0.0):
                raise CannotTell("its certificate could not be fetched a moment ago")
            try:
                pem = fetch(http, "GET", url, most_seconds=PATIENCE)
                certificate = x509.load_pem_x509_certificates(pem)[0]
            except (GatewayError, ValueError) as error:
                self._note_failure(url)
                raise CannotTell("its certificate cannot be fetched, or is none") from error
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[url] = certificate
            return certificate
        finally:
            self._fetching.release()

    def _note_failure(self, url: str) -> None:
        """The oldest are forgotten first: however many fail, another address is still tried."""
        self._failed.pop(url, None)
        if len(self._failed) >= MOST_FAILURES:
            del self._failed[next(iter(self._failed))]
        self._failed[url] = time.monotonic() + FAILED_FOR


def _is_paypals(certificate: x509.Certificate) -> bool:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return len(names) == 1 and str(names[0].value).lower().endswith(".paypal.com")
