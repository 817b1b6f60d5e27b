"""What a merchant enters for a way to pay, for tests: by driver, and right unless a test wants it wrong."""

from payments.admin_forms import field_name
from payments.gateways import DRIVERS
from payments.gateways.rsa import new_key, public_of

CHANNELS = "/admin/payments/paymentchannel/"
OURS, THEIRS = new_key(), new_key()


def add_address(driver="epay_v1"):
    return f"{CHANNELS}add/?driver={driver}"


def channel_form(**changes):
    return {
        "slug": "alipay",
        "name": "支付宝",
        "method": "alipay",
        "base_url": "https://pay.example.com/",
        "merchant_id": "1001",
        "secret_secret": "CANARY-secret",
        "is_enabled": "on",
        "position": 0,
        **changes,
    }


def form_of(driver, **changes):
    """For any driver: each setting has the first of some values that its check lets pass."""
    entered = {field_name(setting): _something(setting) for setting in driver.settings}
    bare = {"slug": "x", "name": "X", "method": driver.methods[0], "position": 0, "is_enabled": "on"}
    return {**bare, "base_url": driver.base_url or "https://pay.example.com/", **entered, **changes}


# What some settings want to be told in so many words.
WORDS = (
    "jump",
    "yes",
    "2088" + "1" * 12,
    "CNY",
    "usdt.trc20",
    "USDT_TRC20",
    "PUB_KEY_ID_" + "0" * 24,
    "acct_1A2b3C4d5E6f7G8h",
    "sk_test_CANARY0123456789api_key",
    "whsec_CANARY0123456789webhook_secret",
)


def _something(setting):
    plain = f"CANARY-{setting.name}" if setting.is_secret else f"plain-{setting.name}"
    for text in (
        plain,
        OURS,
        public_of(THEIRS),
        "a" * 32,
        "A" * 40,
        "1900000001",
        "https://example.com/",
        *WORDS,
    ):
        try:
            if setting.check:
                setting.check(text)
        except ValueError:
            continue
        return text
    raise AssertionError(f"nothing fits {setting.name}: add an example")


ALL_DRIVERS = list(DRIVERS.values())
