from django.contrib import admin
from django.urls import include, path, re_path
from django.views.i18n import JavaScriptCatalog
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny

from meshsite import health, pages
from meshsite.api import bad_request, internal_error, unknown_method, urls_of
from meshsite.avatars import avatar
from realtime.commands import METHODS

schema = SpectacularAPIView.as_view(permission_classes=[AllowAny], authentication_classes=[])
docs = SpectacularSwaggerSplitView.as_view(url_name="schema", permission_classes=[AllowAny], authentication_classes=[])

urlpatterns = [
    path("", pages.home, name="home"),
    path("c/<int:channel_id>/<int:message_id>", pages.message_link, name="message-link"),
    path("join/<str:token>/", pages.join, name="join"),
    path("classroom/", pages.classroom, name="classroom"),
    path("classroom/try/", pages.classroom_try, name="classroom-try"),
    path("settings/tokens/", pages.tokens, name="tokens"),
    path("settings/tokens/<int:token_id>/revoke/", pages.revoke_token, name="revoke-token"),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("api/", include(urls_of(METHODS))),
    path("api/schema/", schema, name="schema"),
    path("api/docs/", docs, name="docs"),
    re_path(r"^api(?:/|$)", unknown_method),
    re_path(r"^avatars/(?P<digest>[0-9a-f]{64})$", avatar, name="avatar"),
    path("i18n/setlang/", pages.set_language, name="set_language"),
    path("jsi18n/", JavaScriptCatalog.as_view(packages=["meshsite"]), name="javascript-catalog"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
]

handler400 = bad_request
handler500 = internal_error
