import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models.signals import pre_migrate


def timeout() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_only_while_it_migrates_a_statement_may_take_as_long_as_it_needs():
    seen = []

    def look(**_: object) -> None:
        seen.append(timeout())

    pre_migrate.connect(look)
    try:
        call_command("migrate", verbosity=0)
    finally:
        pre_migrate.disconnect(look)

    assert set(seen) == {"0"}
    assert timeout() == "30s"
