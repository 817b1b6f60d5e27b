"""The search finds what buyers mean, and nothing that is not for them."""

import pytest

from inventory.models import Category, Product, Variant
from inventory.search import LONGEST, MOST_FOUND, terms_of
from tests.factories import make_shop, make_variant, the_shop

pytestmark = pytest.mark.django_db


def goods(slug: str, name: str, name_en: str = "", variant: str = "一个", **fields: object) -> Product:
    product = make_variant(code=slug).product
    Product.objects.filter(pk=product.pk).update(name=name, name_en=name_en, **fields)
    Variant.objects.filter(product=product).update(name=variant, name_en="One")
    return product


@pytest.fixture
def catalogue() -> None:
    goods("liuli", "琉璃境 · 晶石", "Liuli Realm Crystals", "980 晶石", summary="全服通用，兑换后立即到账。")
    goods("evenstar", "长庚影视会员", "Evenstar Cinema", "月卡", summary="手机、电脑、电视三端通用。")
    goods(
        "farhaven", "远港 · 通行证（豪华版）", "Farhaven Pass", "季卡", summary_en="Routes, sails, 100% yours"
    )
    goods("coupon", "星河礼品卡", "Starriver Gift Card", "50 元", summary="适合喜欢影视的人")


def found(client, text: str, language: str = "") -> list[str]:
    answer = client.get(f"{language}/search/", {"q": text})
    assert answer.status_code == 200
    return [card["product"].slug for card in answer.context["cards"]]


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize(
    ("text", "slugs"),
    [
        ("琉璃", ["liuli"]),
        ("石", ["liuli"]),
        ("影视", ["evenstar", "coupon"]),  # in the name, before in the summary
        ("980晶石", ["liuli"]),
        ("９８０　晶石", ["liuli"]),
        ("月卡", ["evenstar"]),
        ("三端", ["evenstar"]),
        ("（豪华版）", ["farhaven"]),
        ("豪华 通行", ["farhaven"]),
        ("琉璃 影视", []),
        ("liuli", ["liuli"]),
        ("CRYSTALS realm", ["liuli"]),
        ("gift", ["coupon"]),
        ("sails", ["farhaven"]),
        ("100%", ["farhaven"]),
        ("没有这个", []),
    ],
)
@pytest.mark.parametrize("language", ["", "/en"])
def test_words_are_found_in_either_language(client, text, slugs, language):
    assert found(client, text, language) == slugs


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize(
    "text", ["%", "_", "\\", "'", '"', "\0", "", "   ", "，。！", "‮", "\ud83d\ude00"[:1]]
)
def test_what_is_no_word_finds_nothing_and_breaks_nothing(client, text):
    assert found(client, text.encode(errors="replace").decode()) == []


@pytest.mark.usefixtures("catalogue")
def test_what_is_not_for_buyers_is_not_found(client):
    hidden = goods("hidden", "琉璃秘藏")
    Product.objects.filter(pk=hidden.pk).update(is_listed=False)
    Variant.objects.filter(product__slug="evenstar").update(is_active=False)
    goods("foreign", "琉璃境", variant="月卡")
    elsewhere = make_shop("elsewhere")
    Product.objects.filter(slug="foreign").update(shop=elsewhere)

    # Of two shops the host chooses.
    def seen(text: str) -> list[str]:
        answer = client.get("/search/", {"q": text}, headers={"host": the_shop().host})
        return [card["product"].slug for card in answer.context["cards"]]

    assert seen("琉璃") == ["liuli"]
    assert seen("月卡") == []


def test_nothing_found_leads_on(client):
    product = goods("liuli", "琉璃境")
    shop = the_shop()
    shop.contact_email = "help@example.org"
    shop.save()
    Product.objects.filter(pk=product.pk).update(
        category=Category.objects.create(shop=shop, slug="games", name="游戏", name_en="Games")
    )

    page = client.get("/en/search/", {"q": "<b>nothing"}).content.decode()

    assert "Nothing found for “&lt;b&gt;nothing”" in page
    assert 'href="/en/c/games/"' in page
    assert "mailto:help@example.org" in page
    assert 'href="/search/?q=%3Cb%3Enothing"' in page


@pytest.mark.usefixtures("catalogue")
def test_a_result_is_kept_nowhere_and_no_robot_reads_it(client):
    answer = client.get("/search/", {"q": "琉璃"})

    assert "private" in answer["Cache-Control"]
    assert "public" not in answer["Cache-Control"]
    assert "X-Accel-Expires" not in answer
    assert not answer.cookies
    assert '<meta name="robots" content="noindex">' in answer.content.decode()


def test_it_takes_few_queries_however_much_is_found(client, django_assert_max_num_queries):
    for number in range(12):
        goods(f"p-{number}", f"星币 {number}")

    with django_assert_max_num_queries(9):
        assert len(found(client, "星币")) == 12


def test_no_more_is_shown_than_can_be_looked_through(client):
    shop = the_shop()
    Product.objects.bulk_create(
        Product(shop=shop, slug=f"p-{number}", name="星币", is_listed=True)
        for number in range(MOST_FOUND + 5)
    )

    answer = client.get("/en/search/", {"q": "星币"})

    assert len(answer.context["cards"]) == MOST_FOUND
    assert "There may be more" in answer.content.decode()


def test_only_the_beginning_of_a_long_text_is_looked_for():
    assert terms_of("a b c d e f g") == ["a", "b", "c", "d", "e"]
    assert terms_of("长" * 10_000) == ["长" * LONGEST]
    assert terms_of("卡 卡 卡") == ["卡"]


def test_a_closed_shop_finds_nothing(client):
    goods("liuli", "琉璃境")
    shop = the_shop()
    shop.is_open = False
    shop.save()

    assert client.get("/search/", {"q": "琉璃"}).status_code == 404
