"""The code of a mail: ten characters, which its link holds too. It is derived and stands nowhere.

One for each membership of the address, of a log-in that one browser asked for. Without that browser's secret
it opens nothing; with it there are ten tries at 31 to the tenth.
"""

from hmac import compare_digest

from cardshop.common.ids import ALPHABET, keyed_digest
from resellers.models import LogIn, ResellerMember

LENGTH = 10


def code_for(asked: LogIn, member: ResellerMember) -> str:
    drawn = int(keyed_digest("reseller-log-in", asked.browser_digest, str(member.pk)), 16)
    code = ""
    for _ in range(LENGTH):
        drawn, digit = divmod(drawn, len(ALPHABET))
        code += ALPHABET[digit]
    return code


def as_typed(text: str) -> str:
    """In either case, with spaces or dashes."""
    return "".join(text.split()).replace("-", "").upper()


def is_code_for(text: str, asked: LogIn, member: ResellerMember) -> bool:
    return compare_digest(as_typed(text).encode(), code_for(asked, member).encode())


def is_code(text: str) -> bool:
    return len(text) == LENGTH and set(text) <= set(ALPHABET)


def readable(code: str) -> str:
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}"
