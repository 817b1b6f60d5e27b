import pytest

from sandbox import epay

NOTICE = {
    "money": "1",
    "name": "VIP会员",
    "out_trade_no": "20160806151343349",
    "pid": "1001",
    "trade_no": "20160806151343349021",
    "trade_status": "TRADE_SUCCESS",
    "type": "alipay",
}
KEY = "89unJUB8HZ54Hj7x4nUj56HN4nUzUJ8i"
SIGN = "d234c00c90982004526450b6a5e31089"  # computed from the rules by another hand


def test_the_known_notice_has_the_known_sign() -> None:
    assert epay.sign(NOTICE, KEY) == SIGN


def test_blank_values_and_the_sign_itself_are_not_signed() -> None:
    padded = {**NOTICE, "param": "", "device": " \t\0", "sign": "old", "sign_type": "MD5"}

    assert epay.sign(padded, KEY) == SIGN


def test_a_value_of_an_ideographic_space_is_signed_since_php_does_not_trim_it() -> None:
    assert epay.sign({**NOTICE, "param": "\u3000"}, KEY) != SIGN


@pytest.mark.parametrize(
    "sign", ["", SIGN.upper(), SIGN[:-1], "签名", "0" * 32], ids=lambda sign: sign[:4] or "none"
)
def test_any_other_sign_is_refused(sign: str) -> None:
    assert not epay.verify({**NOTICE, "sign": sign}, KEY)


def test_a_right_sign_of_another_type_is_refused() -> None:
    assert epay.verify({**NOTICE, "sign": SIGN, "sign_type": "MD5"}, KEY)
    assert not epay.verify({**NOTICE, "sign": SIGN, "sign_type": "RSA"}, KEY)


@pytest.mark.parametrize(
    ("text", "fen"),
    [
        ("1", 100),
        ("1.0", 100),
        ("1.00", 100),
        ("0.01", 1),
        ("9.9", 990),
        ("99999999.99", 10**10 - 1),
    ],
)
def test_amounts_are_read_exactly(text: str, fen: int) -> None:
    assert epay.to_fen(text) == fen


AMOUNTS_BUT_NOT_OURS = ["0", "0.00", "-1", "+1", "1.001", "1.", ".5", "1,00", "100000000"]
EXOTIC_NUMBERS = ["1e3", "NaN", "0x10", "1_0", "\u0661", "\uff11", "", " 1", "1\n"]


@pytest.mark.parametrize("text", AMOUNTS_BUT_NOT_OURS + EXOTIC_NUMBERS, ids=ascii)
def test_anything_else_is_no_amount(text: str) -> None:
    with pytest.raises(epay.BadMoney):
        epay.to_fen(text)


@pytest.mark.parametrize(
    ("fen", "shown"), [(100, "1"), (990, "9.9"), (1, "0.01"), (1000, "10"), (123456, "1234.56")]
)
def test_notices_carry_money_as_php_prints_a_float(fen: int, shown: str) -> None:
    assert epay.as_php_float(fen) == shown


def test_the_query_api_shows_both_decimals() -> None:
    assert epay.as_decimal(990) == "9.90"


def test_a_name_is_cut_between_characters() -> None:
    assert epay.cut_name("卡" * 50) == "卡" * 42  # 126 bytes; the 43rd would end at 129
    assert epay.cut_name("short") == "short"


def test_an_array_is_as_if_it_had_not_been_sent() -> None:
    assert epay.read_form(b"money=1&money[]=2&name[a]=x&pid=1001") == {"pid": "1001"}


def test_of_a_repeated_field_the_last_value_counts() -> None:
    assert epay.read_form(b"pid=1&pid=2&empty=") == {"pid": "2", "empty": ""}


@pytest.mark.parametrize("raw", [b"name=%ff", b"name=\xff", b"&".join([b"a=1"] * 101)])
def test_what_is_not_utf8_or_far_too_long_is_no_form(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"utf-8|Max number"):
        epay.read_form(raw)


def test_a_query_is_added_to_the_one_that_is_there() -> None:
    assert epay.with_query("http://a/n", {"x": "卡 1"}) == "http://a/n?x=%E5%8D%A1+1"
    assert epay.with_query("http://a/n?o=7", {"x": "1"}) == "http://a/n?o=7&x=1"
