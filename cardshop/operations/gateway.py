"""The gateway's configuration, made from deploy/nginx/ and what this shop is set to.

Into one folder, `var/gateway`, go nginx.conf, the key that passes are checked with, and what the gateway
says by itself: each refusal as JSON and as a page, in every language.
"""

import json
import os
import pwd
import resource
import shutil
import socket
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.template import Context, Engine
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cardshop.common.ids import derived_key
from cardshop.embedded import var_dir
from cardshop.embedded.folders import log_file
from cardshop.settings import env
from cardshop.traffic.actions import TooOften
from cardshop.traffic.errors import MESSAGES
from cardshop.traffic.passes import BadPass

SOURCE = Path(settings.BASE_DIR) / "deploy"
_MODULES, _MIME_TYPES = "/usr/lib/nginx/modules", "/etc/nginx/mime.types"  # where Debian has them
_LOG = "gateway.log"
_FOLDERS = ("refused", "temporary", "cache")
_LONGEST_SOCKET = 107  # bytes of its path, unix(7)
# Before Django, of all workers of nginx together (deploy/nginx/nginx.conf, Pools).
_CLICKS_AT_ONCE, _LOOKS_AT_ONCE = 2500, 3000
# Connections take two files each, one to either side.
_MOST_FILES = 65_536
AGAIN_IN = 15  # seconds until a page that could not be had asks again by itself

REFUSALS: dict[int, tuple[str, str | Promise]] = {
    400: ("bad_request", MESSAGES["bad_request"]),
    403: (BadPass.code, BadPass.message),
    405: ("method_not_allowed", _("That cannot be done here.")),
    413: ("too_large", _("That is too much at once.")),
    415: ("unsupported_media_type", _("Please send JSON.")),
    429: (TooOften.code, TooOften.message),
    503: ("unavailable", MESSAGES["unavailable"]),
}


def gateway_folder() -> Path:
    return var_dir() / "gateway"


def render_gateway() -> Path:
    """Write everything that nginx needs, and return its configuration's path.

    Raises ImproperlyConfigured if the folder's path is too long for a socket in it.
    """
    folder = gateway_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _FOLDERS:
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    _remove_dead_socket(folder / "pages.sock")
    _write_secretly(folder / "pass_key.json", json.dumps({"hex": derived_key("buyer-pass").hex()}))
    _write_refusals(folder / "refused")
    (var_dir() / "log").mkdir(mode=0o700, exist_ok=True)
    log_file(var_dir(), _LOG)  # moves away what has become too long
    configuration = folder / "nginx.conf"
    configuration.write_text(configuration_text())
    return configuration


def configuration_text() -> str:
    """nginx.conf as these settings want it."""
    template = Engine(dirs=[str(SOURCE / "nginx")]).get_template("nginx.conf")
    return template.render(Context(_surroundings(gateway_folder()), autoescape=False))


def _log() -> str:
    return env.read("GATEWAY_LOG") or str(var_dir() / "log" / _LOG)


def gateway_port() -> str:
    return env.read("GATEWAY_PORT") or "8080"


def gateway_address() -> str:
    return env.read("GATEWAY_ADDRESS") or "127.0.0.1"


def pools() -> dict[str, str]:
    """Where the web processes of the Procfile listen, by their names there: `host:port`."""
    web_port = env.read("WEB_PORT") or env.read("PORT") or "8000"
    return {
        "web": env.read("STOREFRONT_POOL") or f"127.0.0.1:{web_port}",
        "hot": env.read("HOT_POOL") or f"127.0.0.1:{env.read('HOT_PORT') or int(web_port) + 2}",
        "api": env.read("API_POOL") or f"127.0.0.1:{env.read('API_PORT') or int(web_port) + 3}",
    }


def find_nginx() -> str | None:
    """An ordinary user's PATH may lack /usr/sbin."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def _surroundings(folder: Path) -> dict[str, Any]:
    storefront, hot, api = pools().values()
    workers = os.cpu_count() or 1  # as nginx counts them
    port, certificate = gateway_port(), env.read("GATEWAY_CERTIFICATE")
    files = min(_MOST_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    return {
        "source": SOURCE,
        "folder": folder,
        "log": _log(),
        "modules": _MODULES,
        "mime_types": _MIME_TYPES,
        # As root nginx would work as `nobody`, who may not look into var.
        "user": pwd.getpwuid(folder.stat().st_uid).pw_name if os.geteuid() == 0 else "",
        "files": files,
        "connections": files // 2,
        "listen": f"{gateway_address()}:{port}" + " ssl http2" * bool(certificate),
        "certificate": certificate,
        "certificate_key": env.read("GATEWAY_CERTIFICATE_KEY"),
        # Behind the names' usual ports nothing is added to them.
        "public_port": settings.SITE_PORT and f":{port}",
        "hosts": " ".join(settings.ALLOWED_HOSTS),
        "trusted_proxies": settings.TRUSTED_PROXIES,
        "body_limit": settings.BODY_LIMIT,
        "admin_body_limit": settings.ADMIN_BODY_LIMIT,
        "import_page": settings.IMPORT_PAGE,
        "import_api": settings.IMPORT_API,
        "import_body_limit": settings.IMPORT_BODY_LIMIT,
        "static_root": settings.STATIC_ROOT,
        "media_root": settings.MEDIA_ROOT,
        "storefront_pool": storefront,
        "hot_pool": hot,
        "click_places": -(-_CLICKS_AT_ONCE // workers),
        "look_places": -(-_LOOKS_AT_ONCE // workers),
        "api_pool": api,
        "admin_pool": env.read("ADMIN_POOL") or storefront,
        "page_policy": f"default-src 'none'; style-src 'self' {_cdn()}; img-src 'self' {_cdn()} data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    }


def _cdn() -> str:
    return " ".join(env.names("STATIC_CDN"))


def _write_refusals(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            for status, (code, message) in REFUSALS.items():
                said = {"code": code, "message": str(message), "fields": {}}
                (folder / f"{status}.{language}.json").write_text(json.dumps(said, ensure_ascii=False))
                for prefix, was_sent in (("", False), ("sent-", True)):
                    told = {"status": status, "message": message, "again_in": AGAIN_IN, "was_sent": was_sent}
                    (folder / f"{status}.{prefix}{language}.html").write_text(
                        render_to_string("error.html", told)
                    )


def _remove_dead_socket(path: Path) -> None:
    """nginx leaves it behind when it is killed, and then does not start again."""
    if len(os.fsencode(path)) > _LONGEST_SOCKET:
        raise ImproperlyConfigured(f"Sockets have paths of at most {_LONGEST_SOCKET} bytes, not {path}")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            pass
        except ConnectionRefusedError:
            path.unlink()


def _write_secretly(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
