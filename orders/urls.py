"""Where an order begins."""

from django.urls import path

from orders import views

urlpatterns = [path("buy/<slug:code>/", views.buy, name="buy")]
