"""No secret reaches a log, neither by name nor inside a link."""

from cardshop.common.logs import masked


def test_values_are_masked_by_name_and_links_by_shape():
    event = masked(None, "info", {"token": "abc", "sign": "x", "path": "/en/o/0123456789abcdef0123/", "n": 1})

    assert event == {"token": "***", "sign": "***", "path": "/en/o/***/", "n": 1}
