"""Where an order begins, and where one waits for it."""

from django.urls import path

from orders import views
from orders.admission import views as admission

urlpatterns = [
    path("buy/<slug:code>/", views.buy, name="buy"),
    path("line/<slug:code>/<slug:ticket_id>/", admission.line, name="line"),
    path("line/<slug:code>/<slug:ticket_id>/leave/", admission.leave, name="leave"),
]
