from celery import shared_task

from cardshop.common.clock import db_now
from cardshop.reports.rolling_up import roll_up


@shared_task(name="reports.roll_up")
def roll_up_days() -> None:
    roll_up(db_now())
