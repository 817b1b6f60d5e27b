"""The merchant's pages of products, prices, pictures and stock."""

from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from inventory.admin_forms import MAX_PICTURE_SIDE
from inventory.models import Category, Product, ProductImage, Variant
from tests.factories import make_order, make_shop, make_variant, the_shop
from tests.staff import logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db(transaction=True)

ADD = "/admin/inventory/product/add/"


@pytest.fixture
def boss():
    return logged_in(make_boss())


def picture(fmt: str = "PNG", size: tuple[int, int] = (8, 8), name: str = "a.png") -> SimpleUploadedFile:
    content = BytesIO()
    Image.new("RGB", size, "teal").save(content, fmt)
    return SimpleUploadedFile(name, content.getvalue(), "image/png")


def product_form(shop, *, pictures=(), **changes):
    data = {
        "shop": shop.pk,
        "name": "月卡",
        "slug": "monthly",
        "position": 0,
        "stock_display": "exact",
        "variants-TOTAL_FORMS": 1,
        "variants-INITIAL_FORMS": 0,
        "variants-0-name": "一个月",
        "variants-0-code": "monthly-1",
        "variants-0-price": "9.90",
        "variants-0-currency": "",
        "variants-0-min_quantity": 1,
        "variants-0-max_quantity": 5,
        "variants-0-selling": "direct",
        "variants-0-is_active": "on",
        "variants-0-position": 0,
        "images-TOTAL_FORMS": len(pictures),
        "images-INITIAL_FORMS": 0,
    }
    for at, file in enumerate(pictures):
        data |= {f"images-{at}-file": file, f"images-{at}-position": at}
    return {**data, **changes}


def test_a_product_with_a_variant_gets_shop_currency_and_minor_units(boss):
    shop = make_shop(currency="JPY")
    answer = boss.post(ADD, product_form(shop, **{"variants-0-price": "990"}))
    assert answer.status_code == 302, answer.content.decode()
    variant = Variant.objects.get()
    assert (variant.shop, variant.currency, variant.price_minor) == (shop, "JPY", 990)


def test_prices_are_shown_as_they_are_entered(boss):
    boss.post(ADD, product_form(make_shop()))
    variant = Variant.objects.get()
    assert variant.price_minor == 990
    assert 'value="9.90"' in boss.get(f"/admin/inventory/variant/{variant.pk}/change/").content.decode()


@pytest.mark.parametrize("price", ["", "0", "-1", "9.999", "٣", "1e3", "NaN", "9,90", "99999999999999"])
def test_no_other_price_is_accepted(boss, price):
    answer = boss.post(ADD, product_form(make_shop(), **{"variants-0-price": price}))
    assert answer.status_code == 200
    assert not Product.objects.exists()


def test_quantities_have_to_make_sense(boss):
    for least, most in ((0, 5), (3, 2)):
        form = product_form(
            make_shop(f"s{least}"), **{"variants-0-min_quantity": least, "variants-0-max_quantity": most}
        )
        assert boss.post(ADD, form).status_code == 200
    assert not Variant.objects.exists()


def test_a_code_is_used_once_in_a_shop(boss):
    make_variant(code="monthly-1")
    answer = boss.post(ADD, product_form(the_shop()))
    assert answer.status_code == 200
    assert Product.objects.count() == 1


def test_the_same_code_twice_in_one_form_is_refused(boss):
    second = {f"variants-1-{k[11:]}": v for k, v in product_form(make_shop()).items() if "variants-0-" in k}
    form = product_form(the_shop(), **second, **{"variants-TOTAL_FORMS": 2})
    assert boss.post(ADD, form).status_code == 200
    assert not Product.objects.exists()


def test_a_category_of_another_shop_is_refused(boss):
    category = Category.objects.create(shop=make_shop("other"), slug="c", name="C")
    answer = boss.post(ADD, product_form(make_shop(), category=category.pk))
    assert "another shop" in answer.content.decode()
    assert not Product.objects.exists()


def test_the_shop_of_a_product_and_the_product_of_a_variant_stay(boss):
    variant, other = make_variant(), make_shop("other")
    stranger = make_variant(shop=other)
    address = f"/admin/inventory/variant/{variant.pk}/change/"
    form = {k[11:]: v for k, v in product_form(the_shop()).items() if k.startswith("variants-0-")}
    assert boss.post(address, {**form, "product": stranger.product_id, "shop": other.pk}).status_code == 302
    variant.refresh_from_db()
    assert (variant.product.shop_id, variant.shop) == (variant.shop_id, the_shop())
    assert variant.price_minor == 990


@pytest.mark.parametrize(("fmt", "suffix"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_real_pictures_are_taken_and_named_by_what_they_are(boss, fmt, suffix, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    answer = boss.post(ADD, product_form(make_shop(), pictures=[picture(fmt)]))
    assert answer.status_code == 302
    image = ProductImage.objects.get()
    assert image.file.name.endswith(f".{suffix}")
    assert (image.width, image.height) == (8, 8)
    page = boss.get(f"/admin/inventory/product/{image.product_id}/change/")
    assert image.file.url in page.content.decode()


@pytest.mark.parametrize(
    "file",
    [
        SimpleUploadedFile(
            "a.png", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/png"
        ),
        picture("GIF", name="a.png"),
        picture(size=(MAX_PICTURE_SIDE + 1, 1)),
        picture(name="a.svg"),
        SimpleUploadedFile("a.png", picture().read() + b"\0" * (5 * 1024 * 1024), "image/png"),
    ],
)
def test_everything_else_is_refused(boss, file, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    file.seek(0)
    answer = boss.post(ADD, product_form(make_shop(), pictures=[file]))
    assert answer.status_code == 200
    assert not Product.objects.exists()
    assert not list(tmp_path.iterdir())


def test_what_has_history_cannot_be_deleted_and_the_page_says_why(boss):
    variant = make_variant(keys=3)
    make_order(variant)
    for model, pk in (("variant", variant.pk), ("product", variant.product_id)):
        page = boss.post(f"/admin/inventory/{model}/{pk}/delete/", {"post": "yes"})
        assert page.status_code in (200, 403)
    page = boss.get(f"/admin/inventory/variant/{variant.pk}/delete/").content.decode()
    assert "3 card keys" in page
    assert "1 order lines" in page
    assert Variant.objects.exists()
    answer = boss.post(
        "/admin/inventory/variant/",
        {"action": "delete_selected", "_selected_action": variant.pk, "post": "yes"},
    )
    assert answer.status_code == 200
    assert Variant.objects.exists()


def test_what_was_never_sold_can_be_deleted(boss):
    product = Product.objects.create(shop=make_shop(), slug="p", name="P")
    assert boss.post(f"/admin/inventory/product/{product.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Product.objects.exists()


@pytest.mark.parametrize("page", ["product", "variant", "stock", "keybatch", "cardkey"])
def test_lists_take_the_same_queries_however_long_they_are(boss, page, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    make_variant(keys=1)
    address = f"/admin/inventory/{page}/"
    boss.get(address)
    with CaptureQueriesContext(connection) as few:
        assert boss.get(address).status_code == 200
    for _ in range(4):
        make_variant(keys=2)
    with django_assert_num_queries(len(few)):
        boss.get(address)


def test_stock_and_keys_and_batches_are_to_be_looked_at_only(boss):
    make_variant(keys=1)
    for page in ("stock", "keybatch", "cardkey"):
        assert boss.get(f"/admin/inventory/{page}/add/").status_code == 403
        assert boss.get(f"/admin/inventory/{page}/1/delete/").status_code in (302, 403)


def test_staff_see_what_they_may(boss):
    variant = make_variant(keys=1)
    clerk = logged_in(make_clerk("inventory.view_product", "inventory.view_variant"))
    assert clerk.get(f"/admin/inventory/product/{variant.product_id}/change/").status_code == 200
    assert clerk.get(f"/admin/inventory/variant/{variant.pk}/change/").status_code == 200
    for page in ("cardkey/", "keybatch/", "keybatch/import/", "product/add/"):
        assert clerk.get(f"/admin/inventory/{page}").status_code == 403
