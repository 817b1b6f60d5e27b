"""Python, Node and nginx agree about every pass in deploy/edge/vectors.json."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from cardshop.traffic.passes import BadPass, BuyerPass, read_pass
from tests.edge.conftest import NJS
from tests.edge.vectors import FILE, SECRET, as_text

HERE = Path(__file__).parent
VECTORS = json.loads(FILE.read_text())["passes"]
NGINX_CONF = f"""
load_module {NJS};
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_max_body_size 1m;
    client_body_buffer_size 1m;
    js_path {HERE};
    js_path {FILE.parent};
    js_import vectors from vectors_in_njs.js;
    server {{
        listen unix:nginx.sock;
        location / {{ js_content vectors.read; }}
    }}
}}
"""


def test_the_vectors_are_those_of_today():
    """If not: python -m tests.edge.vectors."""
    assert FILE.read_text() == as_text()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_python_reads_a_pass_as_it_should(vector, settings):
    settings.SECRET_KEY = SECRET
    now = datetime.fromtimestamp(vector["now"], UTC)

    if vector["good"] is None:
        with pytest.raises(BadPass):
            read_pass(vector["text"], variant_code=vector["variant"], now=now)
    else:
        read = read_pass(vector["text"], variant_code=vector["variant"], now=now)
        assert read == BuyerPass(**vector["good"])


def test_node_reads_every_pass_as_it_should(node):
    said = subprocess.run(
        [node, "--test", HERE / "buyer_pass.test.mjs"], capture_output=True, text=True, timeout=60
    )

    assert said.returncode == 0, said.stdout
    assert f"# pass {len(VECTORS) + 2}\n" in said.stdout


@pytest.mark.timeout(30)
def test_nginx_reads_every_pass_as_it_should(nginx, tmp_path):
    with running(nginx, tmp_path):
        transport = httpx.HTTPTransport(uds=str(tmp_path / "nginx.sock"))
        with httpx.Client(transport=transport) as client:
            read = client.post("http://nginx/", content=FILE.read_bytes()).json()

    assert {vector["name"]: said(pass_) for vector, pass_ in zip(VECTORS, read, strict=True)} == {
        vector["name"]: vector["good"] for vector in VECTORS
    }


def said(read):
    """What njs made of a pass, in the names of the vectors."""
    return read and {
        "buyer_id": read["buyerId"],
        "variant_code": read["variantCode"],
        "expires_at": read["expiresAt"],
        "bound_to": read["boundTo"],
    }


@contextmanager
def running(nginx: str, folder: Path) -> Iterator[None]:
    (folder / "nginx.conf").write_text(NGINX_CONF)
    with subprocess.Popen(
        [nginx, "-p", folder, "-c", "nginx.conf", "-e", "stderr"],
        cwd=folder,  # against which nginx reads a socket's name
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            while not (folder / "nginx.sock").exists():
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
