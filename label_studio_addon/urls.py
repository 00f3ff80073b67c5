"""Label Studio's addresses, and the add-on's before them."""

from core.urls import urlpatterns as label_studio
from django.urls import path
from django.views.generic.base import RedirectView

from label_studio_addon import compare, pages

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="rounds"), name="main"),
    path("rounds/", pages.rounds, name="rounds"),
    path("rounds/<int:pk>/", pages.one_round, name="round"),
    path("rounds/<int:pk>/compare/", compare.compare_round, name="compare-round"),
    path("rounds/<int:pk>/compare/<int:task_pk>/", compare.compare, name="compare"),
    path("rounds/report/", pages.report, name="rounds-report"),
    path("rounds/health", pages.health, name="rounds-health"),
    *label_studio,
]
