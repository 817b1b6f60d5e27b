"""What waits while somebody is at work is done in one go, and everybody hears of their own."""

from collections.abc import Sequence
from threading import Event, Thread

import pytest

from resellers.orders.together import Together


class Work:
    """Doubles numbers, and fails for 13. The first round takes until `may_go_on`."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.may_go_on, self.has_begun = Event(), Event()

    def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        self.rounds.append(list(items))
        self.has_begun.set()
        assert self.may_go_on.wait(10)
        return [ValueError("unlucky") if item == 13 else 2 * item for item in items]


def test_those_who_wait_go_together_at_most_so_many_at_once():
    work = Work()
    together: Together[int, int] = Together(work, most=3)
    heard: dict[int, int | Exception] = {}

    def ask(item: int) -> None:
        try:
            heard[item] = together.do(item)
        except ValueError as error:
            heard[item] = error

    first = Thread(target=ask, args=[1])
    first.start()
    assert work.has_begun.wait(10)
    others = [Thread(target=ask, args=[item]) for item in (2, 13, 4, 5)]
    for thread in others:
        thread.start()
    while len(together._waiting) < len(others):
        pass
    work.may_go_on.set()
    for thread in (first, *others):
        thread.join(10)

    assert [len(items) for items in work.rounds] == [1, 3, 1]
    assert isinstance(heard.pop(13), ValueError)
    assert heard == {1: 2, 2: 4, 4: 8, 5: 10}


def test_work_that_breaks_off_leaves_nobody_waiting():
    def break_off(_items: Sequence[int]) -> list[int | Exception]:
        raise KeyboardInterrupt

    together: Together[int, int] = Together(break_off, most=3)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            together.do(1)
