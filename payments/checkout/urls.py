"""The order page's addresses."""

from django.urls import path

from payments.checkout import views

urlpatterns = [
    path("o/<slug:token>/", views.order, name="order"),
    path("o/<slug:token>/pay/", views.order_pay, name="order_pay"),
    path("o/<slug:token>/cancel/", views.order_cancel, name="order_cancel"),
    path("o/<slug:token>/contact/", views.order_contact, name="order_contact"),
    path("o/<slug:token>/mail/", views.order_mail, name="order_mail"),
    path("o/<slug:token>/password/", views.order_password, name="order_password"),
    path("o/<slug:token>/keys.txt", views.order_keys, name="order_keys"),
]
