"""Where an order begins, where one waits for it, and where one finds it again."""

from django.urls import path

from orders import views
from orders.admission import views as admission
from orders.lookup import views as finding

urlpatterns = [
    path("buy/<slug:code>/", views.buy, name="buy"),
    path("line/<slug:code>/<slug:ticket_id>/", admission.line, name="line"),
    path("line/<slug:code>/<slug:ticket_id>/leave/", admission.leave, name="leave"),
    path("orders/", finding.lookup, name="lookup"),
    path("orders/mail/", finding.lookup_by_mail, name="lookup_by_mail"),
    path("orders/mail/<slug:link>/<slug:number>/", finding.lookup_link, name="lookup_link"),
]
