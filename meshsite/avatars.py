from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from groups.models import Avatar


@require_safe
def avatar(request: HttpRequest, digest: str) -> HttpResponse:
    """A picture, for whoever has its address: nobody can guess one. Another picture has another address."""
    image = Avatar.objects.filter(digest=digest).values_list("image", flat=True).first()
    if image is None:
        raise Http404
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return HttpResponse(bytes(image), content_type="image/webp", headers=headers)
