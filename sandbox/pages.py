"""The HTML, in Simplified Chinese and English. Everything that comes from outside is escaped."""

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Literal

from sandbox import epay
from sandbox.ledger import Bill, Status, Trade

Lang = Literal["zh", "en"]

CSS = Path(__file__).with_name("sandbox.css").read_bytes()
HTML_LANG: dict[Lang, str] = {"zh": "zh-Hans", "en": "en"}
WORDS: dict[str, dict[Lang, str]] = {
    "sandbox": {"zh": "沙箱支付", "en": "Sandbox payments"},
    "no money": {"zh": "仅供测试，不会真正扣款", "en": "For testing. No real money moves."},
    "pay": {"zh": "确认付款", "en": "Pay"},
    "decline": {"zh": "取消支付", "en": "Decline"},
    "back": {"zh": "返回商户", "en": "Back to the shop"},
    "order": {"zh": "商户订单号", "en": "Order"},
    "trade": {"zh": "交易号", "en": "Trade"},
    "method": {"zh": "支付方式", "en": "Method"},
    "amount": {"zh": "金额", "en": "Amount"},
    "status": {"zh": "状态", "en": "Status"},
    "trades": {"zh": "最近的交易", "en": "Recent trades"},
    "none yet": {"zh": "还没有交易", "en": "None yet"},
    "knobs": {"zh": "故障旋钮", "en": "Knobs"},
    "apply": {"zh": "应用", "en": "Apply"},
    "reset": {"zh": "全部复位", "en": "Reset all"},
    "problem": {"zh": "无法继续", "en": "This did not work"},
    "other": {"zh": "English", "en": "中文"},
    "alipay": {"zh": "支付宝", "en": "Alipay"},
    "wxpay": {"zh": "微信支付", "en": "WeChat Pay"},
    "qqpay": {"zh": "QQ 钱包", "en": "QQ Wallet"},
    "bank": {"zh": "网银支付", "en": "Bank"},
    "card": {"zh": "信用卡", "en": "Card"},
    "usdt": {"zh": "USDT", "en": "USDT"},
    "paypal": {"zh": "PayPal", "en": "PayPal"},
}
SYMBOLS = {"CNY": "¥", "USD": "$", "EUR": "€", "HKD": "HK$", "JPY": "JP¥"}
STATUS_WORDS: dict[Status, dict[Lang, str]] = {
    Status.UNPAID: {"zh": "待付款", "en": "Unpaid"},
    Status.PAID: {"zh": "已付款", "en": "Paid"},
    Status.REFUNDED: {"zh": "已退款", "en": "Refunded"},
    Status.CLOSED: {"zh": "已关闭", "en": "Closed"},
    Status.APPROVED: {"zh": "已同意付款", "en": "Approved"},
}


def choose_lang(asked: str, accepted: str) -> Lang:
    """`?lang=` if it names one of ours, else what the browser likes best, else Chinese."""
    if asked in ("zh", "en"):
        return "zh" if asked == "zh" else "en"
    liking: dict[str, float] = {}
    for part in accepted.split(","):
        name, _, quality = part.partition(";")
        primary = name.strip().lower().partition("-")[0]
        try:
            weight = float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            weight = 0.0
        liking[primary] = max(weight, liking.get(primary, 0.0))
    return "en" if liking.get("en", 0.0) > liking.get("zh", 0.0) else "zh"


def pay_page(trade: Trade, *, back: str | None, lang: Lang) -> str:
    """The two buttons of an unpaid trade; of any other its status and the way `back`."""
    bill = trade.bill
    facts = "".join(
        f"<dt>{_word(label, lang)}</dt><dd>{escape(value)}</dd>"
        for label, value in (
            ("order", bill.out_trade_no),
            ("method", _method(bill, lang)),
            ("trade", trade.trade_no),
        )
    )
    if trade.status is Status.UNPAID:
        act = f"""
<form method="post" action="/pay/{trade.trade_no}?lang={lang}">
<button name="action" value="pay">{_word("pay", lang)} {_symbol(trade)}{_amount(trade)}</button>
<button class="quiet" name="action" value="decline">{_word("decline", lang)}</button>
</form>"""
    else:
        act = f'<p class="state" role="status">{STATUS_WORDS[trade.status][lang]}</p>'
        if back:
            act += f'<a class="button" href="{escape(back)}">{_word("back", lang)}</a>'
    content = f"""
<section class="card">
<p class="name">{escape(bill.name)}</p>
<p class="money"><small>{_symbol(trade)}</small>{_amount(trade)}</p>
<dl>{facts}</dl>{act}
</section>"""
    return _page(content, lang=lang)


def front_page(trades: list[Trade], knobs: Mapping[str, object], *, problem: str, lang: Lang) -> str:
    rows = "".join(
        f"""
<tr><td><a href="/pay/{trade.trade_no}?lang={lang}">{escape(trade.bill.out_trade_no)}</a></td>
<td>{_symbol(trade)}{_amount(trade)}</td><td>{STATUS_WORDS[trade.status][lang]}</td></tr>"""
        for trade in trades
    )
    heads = "".join(f"<th>{_word(head, lang)}</th>" for head in ("order", "amount", "status"))
    table = f"<table><tr>{heads}</tr>{rows}</table>" if rows else f"<p>{_word('none yet', lang)}</p>"
    fields = "".join(
        f'<label>{name}<input name="{name}" value="{escape(str(value))}"></label>'
        for name, value in knobs.items()
    )
    warning = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    content = f"""
<section class="card"><h2>{_word("trades", lang)}</h2>{table}</section>
<section class="card"><h2>{_word("knobs", lang)}</h2>{warning}
<form method="post" action="/?lang={lang}"><div class="knobs">{fields}</div>
<button>{_word("apply", lang)}</button>
<button class="quiet" name="reset" value="1">{_word("reset", lang)}</button></form></section>"""
    return _page(content, lang=lang)


def problem_page(message: str, *, lang: Lang) -> str:
    return _page(
        f'<section class="card"><h2>{_word("problem", lang)}</h2>'
        f'<p class="problem" role="alert">{escape(message)}</p></section>',
        lang=lang,
    )


def _method(bill: Bill, lang: Lang) -> str:
    """With the network, where money goes over one."""
    network = json.loads(bill.more).get("network")
    return f"{WORDS[bill.type][lang]} ({network})" if network else WORDS[bill.type][lang]


def _symbol(trade: Trade) -> str:
    return SYMBOLS.get(trade.bill.currency, f"{trade.bill.currency} ")


def _amount(trade: Trade) -> str:
    return str(trade.money_fen) if trade.bill.currency == "JPY" else epay.as_decimal(trade.money_fen)


def _word(name: str, lang: Lang) -> str:
    return WORDS[name][lang]


def _page(content: str, *, lang: Lang) -> str:
    other: Lang = "en" if lang == "zh" else "zh"
    its_tag = HTML_LANG[other]
    return f"""<!doctype html>
<html lang="{HTML_LANG[lang]}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{_word("sandbox", lang)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/sandbox.css">
</head>
<body>
<header><h1>{_word("sandbox", lang)}</h1>
<a href="?lang={other}" lang="{its_tag}" hreflang="{its_tag}">{_word("other", lang)}</a>
<p>{_word("no money", lang)}</p></header>
<main>{content}
</main>
</body>
</html>
"""
