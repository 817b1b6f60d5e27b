"""Figures by day, as the dashboard has them."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any

from django.utils.timezone import localdate
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import StrictSerializer
from cardshop.common.clock import db_now
from cardshop.merchant_api.views import MerchantApiView, refusals
from cardshop.reports.reading import one_moment, profit_by_day, rolled_up_to, sales_by_day
from resellers.api.views import key_of
from resellers.models import MerchantScope

MOST_DAYS = 366


class DaysInput(StrictSerializer):
    days = serializers.IntegerField(min_value=1, max_value=MOST_DAYS, required=False, default=30)


class DayOut(serializers.Serializer[Any]):
    day = serializers.DateField()
    currency = serializers.CharField()
    orders = serializers.IntegerField(help_text="That were paid on that day.")
    units = serializers.IntegerField(help_text="Not of the youngest sales: see `counted_up_to`.")
    revenue_minor = serializers.IntegerField()
    refunded_minor = serializers.IntegerField()
    profit_minor = serializers.IntegerField(
        allow_null=True, help_text="Of what was delivered on that day and whose cost is known; null: nothing."
    )


class DaysOut(serializers.Serializer[Any]):
    days = DayOut(many=True, help_text="Days without sales are left out.")
    counted_up_to = serializers.DateTimeField(allow_null=True)


class DaysApi(MerchantApiView):
    scope = MerchantScope.STATISTICS_READ

    @extend_schema(
        operation_id="merchant_statistics_days",
        parameters=[DaysInput],
        responses={200: DaysOut, **refusals(400)},
    )
    def get(self, request: Request) -> Response:
        """Orders, revenue and profit by day and currency: of so many days, of which today is the last."""
        asked = DaysInput(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        shop_id, now = key_of(request).shop_id, db_now()
        since = localdate(now) - timedelta(days=asked.validated_data["days"] - 1)
        with one_moment():
            up_to = rolled_up_to()
            return Response({"days": list(_days(shop_id, since, now, up_to)), "counted_up_to": up_to})


def _days(shop_id: int, since: date, now: datetime, up_to: datetime | None) -> Iterator[dict[str, Any]]:
    profits = profit_by_day([shop_id], since=since)
    for currency, by_day in sorted(sales_by_day([shop_id], since=since, now=now, up_to=up_to).items()):
        for day, sales in sorted(by_day.items()):
            profit = profits.get(currency, {}).get(day)
            said = {"day": day, "currency": currency, **asdict(sales)}
            yield DayOut({**said, "profit_minor": profit and profit.profit_minor}).data
