"""Who is paying inside WeChat: its OAuth login, in the silent kind that tells an openid and nothing else.

Source: the platform's "网页授权". The page sends the buyer back with a code, which is good once, for 5 min.
"""

import json
from urllib.parse import urlencode

from payments.gateways.base import GatewayError, GatewayRefused
from payments.gateways.drivers import Account
from payments.gateways.exchange import fetch

PAGES, API = "https://open.weixin.qq.com", "https://api.weixin.qq.com"
_BAD_CODE = {40029, 40163, 41008, 42003}  # not valid, used, missing, too old


def has_login(account: Account) -> bool:
    return bool(account.secrets.get("app_secret"))


def login_page(account: Account, *, back: str, state: str) -> str:
    """Where the buyer's browser goes to come `back` with a code. `state` is letters and digits, 128 at most.

    WeChat wants these parameters in this order, and the fragment.
    """
    asked = {
        "appid": account.options.get("app_id", ""),
        "redirect_uri": back,
        "response_type": "code",
        "scope": "snsapi_base",
        "state": state,
    }
    base = account.options.get("login_url") or PAGES
    return f"{base.rstrip('/')}/connect/oauth2/authorize?{urlencode(asked)}#wechat_redirect"


def openid(account: Account, code: str) -> str:
    """Network. Raises GatewayRefused for a code that is not good (any more), GatewayError."""
    asked = {
        "appid": account.options.get("app_id", ""),
        "secret": account.secrets.get("app_secret", ""),
        "code": code,
        "grant_type": "authorization_code",
    }
    base = account.options.get("login_url") or API
    answer = fetch(account.http, "GET", f"{base.rstrip('/')}/sns/oauth2/access_token", params=asked)
    try:
        said = json.loads(answer)
        error, found = int(said.get("errcode") or 0), said.get("openid")
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise GatewayError("answered what cannot be read") from None
    if error in _BAD_CODE:
        raise GatewayRefused(f"answered {error}")
    if error:  # busy, or a wrong app or secret: none of it is the buyer's fault
        raise GatewayError(f"answered {error}")
    if not isinstance(found, str) or not 0 < len(found) <= 128:
        raise GatewayError("answered without an openid")
    return found
