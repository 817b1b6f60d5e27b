import pytest

from sandbox import loopback


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/n",
        "http://127.8.9.1/",
        "http://[::1]:8000/n?a=1",
        "http://localhost/n",
        "http://shop-a.localhost:8000/n",
    ],
)
def test_this_machine_may_be_called(url: str) -> None:
    loopback.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/n",
        "http://example.org/n",
        "http://0.0.0.0/n",
        "http://127.1/n",
        "http://2130706433/n",
        "http://localhost.example.org/n",
        "http://127.0.0.1@example.org/n",
        "http://user@127.0.0.1/n",
        "https://127.0.0.1/n",
        "file:///etc/passwd",
        "http://127.0.0.1:99999/n",
        "http://[::1/n",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\r\nHost: x",
        "http://127.0.0.1/卡",
        "//127.0.0.1/n",
        "",
    ],
)
def test_anything_else_may_not(url: str) -> None:
    with pytest.raises(loopback.NotLoopback):
        loopback.check(url)
