"""The merchant's side of a sale: its terms, its waves, the live page and its buttons."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils.timezone import localtime

from cardshop.common.clock import db_now
from inventory.models import Product, Selling, Variant
from orders.admin import WaveFormSet
from orders.admission import gate
from orders.admission.sales import ensure_sale, ensure_sales, pause_sale
from orders.models import Order, Registration, Sale, Ticket, Wave
from tests.factories import counters, make_shop, make_variant, pay_order, stock_up
from tests.lines import click, keep_house, make_sale, open_line, settle_all
from tests.staff import logged_in, make_boss, make_clerk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


@pytest.fixture
def boss():
    return logged_in(make_boss())


def page(name: str, *args: object) -> str:
    return reverse(f"admin:orders_sale_{name}", args=args)


def variant_form(variant: Variant, **changes: object) -> dict[str, object]:
    return {
        "name": variant.name,
        "code": variant.code,
        "price": "9.90",
        "currency": "CNY",
        "min_quantity": 1,
        "max_quantity": 5,
        "selling": variant.selling,
        "is_active": "on",
        "position": 0,
        **changes,
    }


def sale_form(sale: Sale | None = None, waves: list[dict[str, object]] | None = None, **changes: object):
    """What the page of a sale sends; moments are given as datetimes."""
    form: dict[str, object] = {"hold_seconds": 300, "proof_of_work": "pressed", **changes}
    waves = waves or []
    form |= {
        "waves-TOTAL_FORMS": len(waves),
        "waves-INITIAL_FORMS": sum("id" in wave for wave in waves),
    }
    for at, wave in enumerate(waves):
        form |= {f"waves-{at}-{name}": value for name, value in wave.items()}
        if sale:
            form[f"waves-{at}-sale"] = sale.pk
    for name, moment in list(form.items()):
        if name.endswith("_at"):
            del form[name]
            if moment is not None:
                form |= {
                    f"{name}_0": f"{localtime(moment):%Y-%m-%d}",
                    f"{name}_1": f"{localtime(moment):%H:%M:%S}",
                }
    return form


# Variants


def test_choosing_the_line_for_a_variant_makes_its_sale(boss):
    variant = make_variant()
    address = reverse("admin:inventory_variant_change", args=[variant.pk])

    assert boss.post(address, variant_form(variant, selling="queued")).status_code == 302

    sale = Sale.objects.get()
    assert (sale.variant, sale.shop) == (variant, variant.shop)
    assert page("change", sale.pk) in boss.get(address).content.decode()
    boss.post(address, variant_form(variant, selling="queued"))
    assert Sale.objects.count() == 1


def test_so_does_a_new_product_whose_variant_is_sold_through_a_line(boss):
    shop = make_shop()
    form = {"shop": shop.pk, "name": "月卡", "slug": "monthly", "position": 0, "stock_display": "exact"}
    variant = variant_form(Variant(name="一个月", code="monthly-1"), selling="queued")
    form |= {f"variants-0-{name}": value for name, value in variant.items()}
    form |= {"variants-TOTAL_FORMS": 1, "variants-INITIAL_FORMS": 0}
    form |= {"images-TOTAL_FORMS": 0, "images-INITIAL_FORMS": 0}

    assert boss.post("/admin/inventory/product/add/", form).status_code == 302

    assert Sale.objects.get().variant == Product.objects.get().variants.get()


def test_a_variant_that_was_switched_elsewhere_gets_its_sale_from_the_allocators():
    queued, direct = make_variant(selling=Selling.QUEUED), make_variant()

    ensure_sales()
    ensure_sales()

    assert Sale.objects.get().variant == queued
    assert direct.selling == Selling.DIRECT


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"min_quantity": 2, "per_buyer_limit": 1}, "nobody could buy"),
        ({"is_isolated": "on"}, "through a line"),
        ({"per_buyer_limit": 0}, "greater than or equal to 1"),
    ],
)
def test_terms_that_make_no_sense_are_explained(boss, changes, sentence):
    variant = make_variant()

    answer = boss.post(
        reverse("admin:inventory_variant_change", args=[variant.pk]), variant_form(variant, **changes)
    )

    assert answer.status_code == 200
    assert sentence in answer.content.decode()


def test_without_waves_everything_is_for_sale(boss):
    variant = make_variant(sells_in_waves=True)
    stock_up(variant, 5)
    address = reverse("admin:inventory_variant_change", args=[variant.pk])

    boss.post(address, variant_form(variant, sells_in_waves="on"))
    assert counters(variant) == (5, 0, 0)

    boss.post(address, variant_form(variant))
    assert counters(variant) == (5, 5, 0)


# Terms


def test_a_sale_is_planned_with_its_waves(boss):
    variant = make_variant(sells_in_waves=True)
    opens = db_now() + timedelta(days=1)

    answer = boss.post(
        page("add"),
        sale_form(
            variant=variant.pk,
            opens_at=opens,
            closes_at=opens + timedelta(hours=2),
            registration_opens_at=opens - timedelta(hours=2),
            line_cap=50,
            waves=[{"quantity": 10, "opens_at": opens}, {"quantity": 5}],
        ),
    )

    assert answer.status_code == 302, answer.context["errors"]
    sale = Sale.objects.get()
    assert (sale.shop, sale.line_cap, sale.is_paused) == (variant.shop, 50, False)
    assert list(sale.waves.values_list("quantity", "opens_at")) == [
        (10, opens.replace(microsecond=0)),
        (5, None),
    ]


@pytest.mark.parametrize(
    ("hours", "sentence"),
    [
        ({"opens_at": 2, "closes_at": 1}, "It has to close after it opens."),
        ({"registration_opens_at": 1}, "Say when the sale opens"),
        ({"registration_opens_at": 3, "opens_at": 2}, "Registration has to open before the sale does."),
    ],
)
def test_times_that_make_no_sense_are_explained(boss, hours, sentence):
    sale = make_sale()
    moments = {name: db_now() + timedelta(hours=count) for name, count in hours.items()}

    answer = boss.post(page("change", sale.pk), sale_form(sale, **moments))

    assert answer.status_code == 200
    told = answer.content.decode()
    assert sentence in told
    assert "is violated" not in told
    assert Sale.objects.get().opens_at is None


@pytest.mark.parametrize("seconds", [9, 3601])
def test_a_hold_is_between_ten_seconds_and_an_hour(boss, seconds):
    sale = make_sale()

    assert boss.post(page("change", sale.pk), sale_form(sale, hold_seconds=seconds)).status_code == 200
    assert Sale.objects.get().hold_seconds == 300


def test_editing_the_terms_leaves_what_the_allocator_writes_alone(boss, monkeypatch):
    sale = make_sale()
    save = Sale.save

    def allocator_is_faster(row, *args, **kwargs):
        Sale.objects.update(epoch=7, leased_by="somebody")
        save(row, *args, **kwargs)

    monkeypatch.setattr(Sale, "save", allocator_is_faster)

    assert boss.post(page("change", sale.pk), sale_form(sale, hold_seconds=60)).status_code == 302
    sale = Sale.objects.get()
    assert (sale.hold_seconds, sale.epoch, sale.leased_by) == (60, 7, "somebody")


def test_a_released_wave_can_be_neither_changed_nor_deleted(boss):
    sale = make_sale(sells_in_waves=True)
    wave = Wave.objects.create(sale=sale, quantity=5, released_at=db_now(), released=5)
    planned = Wave.objects.create(sale=sale, quantity=3)
    sent = [
        {"id": wave.pk, "quantity": 9, "DELETE": "on"},
        {"id": planned.pk, "quantity": 4},
    ]

    answer = boss.post(page("change", sale.pk), sale_form(sale, waves=sent))

    assert answer.status_code == 302
    assert sorted(Wave.objects.values_list("quantity", flat=True)) == [4, 5]


def test_a_wave_released_while_its_page_was_open_stays_as_it_is(boss, monkeypatch):
    sale = make_sale(sells_in_waves=True)
    wave = Wave.objects.create(sale=sale, quantity=5)
    existing = WaveFormSet.save_existing

    def released_meanwhile(formset, form, obj, commit=True):
        Wave.objects.update(released_at=db_now(), released=5)
        return existing(formset, form, obj, commit)

    monkeypatch.setattr(WaveFormSet, "save_existing", released_meanwhile)

    boss.post(page("change", sale.pk), sale_form(sale, waves=[{"id": wave.pk, "quantity": 9}]))

    wave.refresh_from_db()
    assert (wave.quantity, wave.released, wave.released_at is None) == (5, 5, False)


def test_the_merchant_hears_that_waves_mean_nothing_while_keys_open_at_once(boss):
    sale = make_sale()

    answer = boss.post(page("change", sale.pk), sale_form(sale, waves=[{"quantity": 5}]), follow=True)

    assert "are for sale at once" in answer.content.decode()


def test_opening_once_more_is_a_new_round(boss):
    sale = make_sale()
    Sale.objects.update(registered_let_in=True)
    Registration.objects.create(
        sale=sale, ticket_id="a" * 64, buyer_key="b", quantity=1, registered_at=db_now(), language="en"
    )

    boss.post(page("change", sale.pk), sale_form(sale, hold_seconds=90))
    assert Registration.objects.exists()

    boss.post(page("change", sale.pk), sale_form(sale, opens_at=db_now() + timedelta(days=1)))

    after = Sale.objects.get()
    assert not after.registered_let_in
    assert after.secret != sale.secret
    assert not Registration.objects.exists()


def test_taking_the_opening_away_opens_now_for_those_who_registered_too(boss):
    sale, now = make_sale(keys=1), db_now()
    Sale.objects.update(registration_opens_at=now - timedelta(hours=1), opens_at=now + timedelta(days=1))
    registered = click(sale.variant)
    allocator = open_line(sale)

    answer = boss.post(page("change", sale.pk), sale_form(sale))
    for _ in range(3):
        settle_all(allocator)

    assert answer.status_code == 302
    assert now < Sale.objects.get().opens_at <= db_now()
    assert Order.objects.get().ticket_id == registered


def test_what_was_always_open_has_no_moment_at_which_it_opened(boss):
    sale = make_sale()

    boss.post(page("change", sale.pk), sale_form(sale, hold_seconds=60))

    assert Sale.objects.get().opens_at is None


def test_a_sale_that_is_over_is_not_opened_by_taking_its_opening_away(boss):
    sale, now = make_sale(), db_now()
    Sale.objects.update(opens_at=now - timedelta(hours=2), closes_at=now - timedelta(hours=1))

    answer = boss.post(page("change", sale.pk), sale_form(sale, closes_at=now - timedelta(hours=1)))

    assert answer.status_code == 200
    assert "It has to close after it opens." in answer.content.decode()


def test_a_sale_is_deleted_only_where_nobody_needs_it(boss):
    sale = make_sale()
    assert boss.post(page("delete", sale.pk), {"post": "yes"}).status_code == 403

    Variant.objects.update(selling=Selling.DIRECT)
    assert boss.post(page("delete", sale.pk), {"post": "yes"}).status_code == 302
    assert not Sale.objects.exists()


# The live page


def busy_sale() -> Sale:
    """Ten keys: two sold, two held; three waiting; a click that nobody has settled."""
    sale = make_sale(keys=4, line_cap=5)
    allocator = open_line(sale)
    for _ in range(7):
        click(sale.variant)
    settle_all(allocator)
    for order in Order.objects.order_by("pk")[:2]:
        pay_order(order)
    click(sale.variant)
    Sale.objects.update(leased_until=db_now() + timedelta(seconds=5))
    return sale


def figures(told: dict) -> dict[str, tuple[str, str]]:
    return {figure["key"]: (figure["value"], figure["note"]) for figure in told["figures"]}


def test_the_live_page_and_its_numbers_tell_the_same(boss):
    sale = busy_sale()

    told = boss.get(page("numbers", sale.pk)).json()
    shown = boss.get(page("live", sale.pk)).content.decode()

    assert figures(told) == {
        "arrivals": ("8", "repeats not counted"),
        "admitted": ("8", "units"),
        "in_stream": ("1", "tickets"),
        "registered": ("0", "before the opening"),
        "sold": ("2", "paid for"),
        "held": ("2", "not paid yet"),
        "free": ("0", "open for sale"),
        "to_come": ("0", "still to come"),
        "waiting": ("3", "at most 5"),
        "in_line": ("3", "3 of them are looking"),
        "conversion": ("50%", "2 of 4 orders"),
        "rate": ("at work", figures(told)["rate"][1]),
    }
    assert (told["state"], told["alarms"]) == ("under way", [])
    assert told["shares"] == {"sold": 50.0, "held": 50.0}
    assert told["sample"] == {"arrivals": 8, "sold": 2, "held": 2}
    assert f'data-version="{told["version"]}"' in shown
    for value, note in figures(told).values():
        assert f">{value}<" in shown
        assert note in shown


def test_a_redis_that_is_away_shows_as_such_and_breaks_nothing(boss, settings, monkeypatch):
    sale = busy_sale()
    settings.ADMISSION_REDIS_URL = "redis://127.0.0.1:9/0"
    monkeypatch.setattr(gate, "_local", type("Local", (), {})())

    told = boss.get(page("numbers", sale.pk)).json()

    assert boss.get(page("live", sale.pk)).status_code == 200
    assert "Redis does not answer" in told["alarms"][0]
    assert figures(told)["sold"][0] == "2"
    assert figures(told)["arrivals"][0] == figures(told)["in_stream"][0] == "–"
    assert told["sample"]["arrivals"] is None


def test_a_line_that_nobody_serves_shows_as_such(boss):
    sale = make_sale(keys=1, is_isolated=True)

    alarms = boss.get(page("numbers", sale.pk)).json()["alarms"]

    assert ["The gate is not open" in alarms[0], "manage.py allocate --isolated" in alarms[1]] == [True, True]


def test_a_variant_that_is_sold_directly_shows_as_such(boss):
    sale = ensure_sale(make_variant())

    (alarm,) = boss.get(page("numbers", sale.pk)).json()["alarms"]
    assert "sold directly" in alarm


def test_a_line_that_has_been_left_keeps_its_figures_and_alarms_nobody(boss):
    sale = busy_sale()
    allocator = open_line(sale)
    Ticket.objects.update(status="left", ended_at=db_now())
    Variant.objects.update(is_active=False)
    Sale.objects.update(leased_until=None)
    keep_house(allocator)

    told = boss.get(page("numbers", sale.pk)).json()

    assert told["alarms"] == []
    assert figures(told)["arrivals"][0] == "8"


@pytest.mark.parametrize(
    ("terms", "state"),
    [
        ({}, "under way"),
        ({"opens_at": 1}, "not open yet"),
        ({"opens_at": 1, "registration_opens_at": -1}, "open for registration"),
        ({"opens_at": -2, "closes_at": -1}, "over"),
        ({"is_paused": True}, "paused"),
    ],
)
def test_the_state_is_told_in_words(boss, terms, state):
    sale = make_sale()
    moments = {
        name: db_now() + timedelta(hours=given) if name.endswith("_at") else given
        for name, given in terms.items()
    }
    Sale.objects.update(**moments)

    assert boss.get(page("numbers", sale.pk)).json()["state"] == state
    assert f">{state}<" in boss.get(page("changelist")).content.decode()


def test_pausing_and_going_on_are_buttons_and_are_written_down(boss):
    sale = make_sale()
    version = boss.get(page("numbers", sale.pk)).json()["version"]

    boss.post(page("pause", sale.pk))
    boss.post(page("pause", sale.pk))
    assert Sale.objects.get().is_paused
    assert boss.get(page("numbers", sale.pk)).json()["version"] != version

    boss.post(page("resume", sale.pk))
    assert not Sale.objects.get().is_paused
    assert list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True)) == [
        "Paused.",
        "Goes on.",
    ]


def test_the_box_on_the_page_of_the_terms_pauses_as_well(boss):
    sale = make_sale()

    boss.post(page("change", sale.pk), sale_form(sale, is_paused="on"))
    assert Sale.objects.get().is_paused

    boss.post(page("change", sale.pk), sale_form(sale))
    assert not Sale.objects.get().is_paused


def test_a_wave_is_released_by_its_button_once(boss):
    sale = make_sale(sells_in_waves=True)
    stock_up(sale.variant, 5)
    wave = Wave.objects.create(sale=sale, quantity=3)

    told = [boss.post(page("release", sale.pk, wave.pk), follow=True).content.decode() for _ in range(2)]

    assert "3 units released." in told[0]
    assert "released already" in told[1]
    assert counters(sale.variant) == (5, 3, 0)
    assert LogEntry.objects.get().change_message == "Wave released: 3/3"


def test_a_wave_without_enough_keys_says_so(boss):
    sale = make_sale(sells_in_waves=True)
    stock_up(sale.variant, 1)
    wave = Wave.objects.create(sale=sale, quantity=3)

    told = boss.post(page("release", sale.pk, wave.pk), follow=True).content.decode()

    assert "1 unit released." in told
    assert "no more keys" in told


def test_a_wave_of_another_sale_is_not_released_from_here(boss):
    sale, other = make_sale(), make_sale()
    wave = Wave.objects.create(sale=other, quantity=3)

    assert boss.post(page("release", sale.pk, wave.pk)).status_code == 404


def test_who_may_only_look_has_no_buttons_and_cannot_press_them():
    sale = make_sale()
    wave = Wave.objects.create(sale=sale, quantity=3)
    clerk = logged_in(make_clerk("orders.view_sale"))

    shown = clerk.get(page("live", sale.pk)).content.decode()

    assert page("pause", sale.pk) not in shown
    assert page("release", sale.pk, wave.pk) not in shown
    assert clerk.get(page("numbers", sale.pk)).status_code == 200
    for button in (page("pause", sale.pk), page("resume", sale.pk), page("release", sale.pk, wave.pk)):
        assert clerk.post(button).status_code == 403
    assert not Sale.objects.get().is_paused


def test_who_may_not_see_sales_sees_none():
    sale = make_sale()
    clerk = logged_in(make_clerk("orders.view_order"))

    assert [clerk.get(page(name, sale.pk)).status_code for name in ("live", "numbers")] == [403, 403]


def test_buttons_are_pressed_not_followed(boss):
    sale = make_sale()
    wave = Wave.objects.create(sale=sale, quantity=3)

    for button in (page("pause", sale.pk), page("resume", sale.pk), page("release", sale.pk, wave.pk)):
        assert boss.get(button).status_code == 405


# Who waits


def test_tickets_are_listed_with_their_reason_and_without_their_ids(boss):
    sale = make_sale(keys=1, line_cap=1)
    allocator = open_line(sale)
    for _ in range(2):
        click(sale.variant)
    settle_all(allocator)
    Ticket.objects.update(status="refused", reason="line_full")
    ticket = Ticket.objects.get()

    for address in (
        reverse("admin:orders_ticket_changelist") + "?status__exact=refused",
        reverse("admin:orders_ticket_change", args=[ticket.pk]),
    ):
        told = boss.get(address).content.decode()
        assert "the line for what comes back is full" in told
        assert ticket.contact_email in told
        assert ticket.ticket_id not in told
        assert ticket.buyer_key not in told


def test_registrations_are_listed_without_their_ids(boss):
    sale = make_sale()
    kept = Registration.objects.create(
        sale=sale,
        ticket_id="a" * 64,
        buyer_key="b" * 64,
        contact_email="lin@example.org",
        language="en",
        quantity=2,
        registered_at=db_now(),
    )

    for address in (
        reverse("admin:orders_registration_changelist"),
        reverse("admin:orders_registration_change", args=[kept.pk]),
    ):
        told = boss.get(address).content.decode()
        assert "lin@example.org" in told
        assert kept.ticket_id not in told


def test_the_live_page_of_a_paused_sale_offers_to_go_on(boss):
    sale = make_sale()
    pause_sale(sale)

    shown = boss.get(page("live", sale.pk)).content.decode()

    assert page("resume", sale.pk) in shown
    assert page("pause", sale.pk) not in shown
