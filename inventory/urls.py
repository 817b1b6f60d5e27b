"""Catalogue addresses; Chinese at the root, English below /en/."""

from django.urls import path

from inventory import views

urlpatterns = [
    path("", views.home, name="home"),
    path("c/<slug:slug>/", views.category, name="category"),
    path("p/<slug:slug>/", views.product, name="product"),
    path("search/", views.search_page, name="search"),
]
