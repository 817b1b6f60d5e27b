"""Who may call. The sandbox has no password, and the browser of whoever runs it also visits strangers.

A stranger's page could reach it by a name that resolves to 127.0.0.1 (DNS rebinding), or by a form that
posts across sites. Programs say neither Origin nor Sec-Fetch-Site, and are let through.
See https://www.w3.org/TR/fetch-metadata/.
"""

from http import HTTPStatus
from urllib.parse import urlsplit

from sandbox.loopback import is_here
from sandbox.web import HttpError, Request


def require_known_host(request: Request, public_url: str) -> None:
    """403 unless it was called by an address of this machine, or by its public name."""
    try:
        host = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        host = ""
    if not (is_here(host) or (host and host == urlsplit(public_url).hostname)):
        raise HttpError(
            HTTPStatus.FORBIDDEN, "called by a name that is not the sandbox's: see SANDBOX_PUBLIC_URL"
        )


def require_own_page(request: Request, public_url: str) -> None:
    """403 if a browser says that another site's page is asking. `same-site` is another site, too:
    all ports of localhost are one.
    """
    if request.fetch_site:
        ours = request.fetch_site in ("same-origin", "none")
    else:
        own_places = (request.host, urlsplit(public_url).netloc.lower())
        ours = not request.origin or request.origin.partition("://")[2] in own_places
    if not ours:
        raise HttpError(HTTPStatus.FORBIDDEN, "asked by another site's page")
