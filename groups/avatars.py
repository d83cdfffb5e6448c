"""From the picture that somebody sent to the one that is shown: small, square, and made anew, so that nothing else of
theirs (where it was taken, a second frame, what a broken decoder might run) leaves the server.
"""

from io import BytesIO
from typing import Final

from django.core.exceptions import ValidationError
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from PIL import Image, ImageOps

AVATAR_BYTES: Final = 512 * 1024
"""Of what somebody sends."""
AVATAR_PIXELS: Final = 16_000_000
"""Of what somebody sends: 64 MB while it is decoded. A file of a few kB can hold as many as it likes."""
SIDE: Final = 256
FORMATS: Final = ("PNG", "JPEG", "WEBP")


def to_avatar(sent: bytes) -> bytes:
    """The middle of a picture as WebP, SIDE pixels wide and high; of an animated one the first frame.

    Raises ValidationError (bad_image) for what is no picture of FORMATS, is broken or is too large.
    """
    if len(sent) > AVATAR_BYTES:
        raise _refusal(_("A picture may have up to %(limit)d kB.") % {"limit": AVATAR_BYTES // 1024})
    try:
        # Each of their decoders has errors of its own, and some of those of Python.
        with Image.open(BytesIO(sent), formats=FORMATS) as image:
            if image.width * image.height > AVATAR_PIXELS:
                raise _refusal(
                    _("A picture may have up to %(limit)d million pixels.") % {"limit": AVATAR_PIXELS // 10**6}
                )
            image.draft("RGB", (2 * SIDE, 2 * SIDE))
            upright = ImageOps.exif_transpose(image)
            seen = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
            square = ImageOps.fit(seen, (SIDE, SIDE))
            written = BytesIO()
            # A new image, which knows nothing of the EXIF data and the colour profile of the old one.
            clean = Image.new(square.mode, square.size)
            clean.paste(square)
            clean.save(written, "WEBP", quality=85)
    except ValidationError:
        raise
    except Exception as error:
        raise _refusal(_("This is no picture that can be read. Send a PNG, JPEG or WebP.")) from error
    return written.getvalue()


def digest_of(user_id: int, avatar: bytes) -> str:
    """What its address holds. Whoever has not seen it cannot guess it, even with the same picture in their hands."""
    return salted_hmac("groups.avatars", b"%d:" % user_id + avatar, algorithm="sha256").hexdigest()


def _refusal(told: str) -> ValidationError:
    return ValidationError({"image": ValidationError(told, code="bad_image")})
