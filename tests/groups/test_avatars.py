"""user.set_avatar and GET /avatars/<digest>: pictures are made anew, within limits."""

import base64
import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from PIL import Image, ImageOps

from groups.avatars import AVATAR_BYTES, AVATAR_PIXELS, to_avatar
from groups.models import Avatar, Channel, User
from tests.cast import Api, ids, published, stored


def picture(form: str = "PNG", size: tuple[int, int] = (300, 200), colour: Any = (200, 30, 30), **more: Any) -> bytes:
    written = BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(written, form, **more)
    return written.getvalue()


def sent(image: bytes) -> str:
    return base64.b64encode(image).decode()


def shown(client: Client, url: str) -> Image.Image:
    return Image.open(BytesIO(client.get(url).content))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_shown_small_and_square_and_everybody_is_told(
    api: Api, client: Client, general: Channel, ada: User, bob: User, grace: User, form: str
) -> None:
    call = api(ada)
    with published() as told:
        answer = call("user.set_avatar", image=sent(picture(form)))

    url = answer.body["user"]["avatar_url"]
    assert [(event.name, event.user_ids) for event in told] == [
        ("user.updated", ids(ada)),
        ("user.updated", ids(grace, bob)),
    ]
    assert {event.data["user"]["avatar_url"] for event in told} == {url}
    image = shown(client, url)
    assert (image.format, image.size) == ("WEBP", (256, 256))


def test_an_answer_may_be_kept_for_ever_and_is_nothing_but_a_picture(api: Api, client: Client, ada: User) -> None:
    url = api(ada)("user.set_avatar", image=sent(picture())).body["user"]["avatar_url"]

    answer = client.get(url)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not answer.cookies
    assert client.head(url).status_code == 200
    assert client.post(url).status_code in (403, 405)


@pytest.mark.parametrize("digest", ["0" * 64, "x", "..", "a" * 200, "%00", "é"])
def test_an_unknown_address_shows_nothing(client: Client, ada: User, digest: str) -> None:
    assert client.get(f"/avatars/{digest}").status_code == 404


def test_the_same_picture_again_changes_nothing_and_tells_nobody(api: Api, general: Channel, ada: User) -> None:
    call = api(ada)
    first = call("user.set_avatar", image=sent(picture()))
    before = stored()

    assert call("user.set_avatar", image=sent(picture())).body == first.body
    assert stored() == before


def test_two_people_with_one_picture_have_two_addresses(api: Api, ada: User, bob: User) -> None:
    urls = {api(user)("user.set_avatar", image=sent(picture())).body["user"]["avatar_url"] for user in (ada, bob)}

    assert len(urls) == 2


def test_an_address_cannot_be_guessed_from_the_picture(api: Api, ada: User, settings: Any) -> None:
    call = api(ada)
    first = call("user.set_avatar", image=sent(picture())).body["user"]["avatar_url"]
    call("user.set_avatar", image=None)
    settings.SECRET_KEY = "another"

    assert call("user.set_avatar", image=sent(picture())).body["user"]["avatar_url"] != first


def test_a_new_picture_replaces_the_old_one_and_none_removes_it(api: Api, client: Client, ada: User) -> None:
    call = api(ada)
    old = call("user.set_avatar", image=sent(picture())).body["user"]["avatar_url"]
    new = call("user.set_avatar", image=sent(picture(colour=(0, 0, 250)))).body["user"]["avatar_url"]
    assert [client.get(url).status_code for url in (old, new)] == [404, 200]

    assert call("user.set_avatar", image=None).body["user"]["avatar_url"] is None
    assert client.get(new).status_code == 404
    assert not Avatar.objects.exists()


def test_where_a_picture_was_taken_stays_secret(api: Api, client: Client, ada: User) -> None:
    exif = Image.Exif()
    exif[0x010E] = "at home"
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 29.0)}
    image = picture("JPEG", exif=exif, comment=b"a secret", icc_profile=b"profile")
    assert b"at home" in image

    written = client.get(api(ada)("user.set_avatar", image=sent(image)).body["user"]["avatar_url"]).content

    assert not Image.open(BytesIO(written)).getexif()
    assert not {"exif", "xmp", "icc_profile", "comment"} & Image.open(BytesIO(written)).info.keys()
    assert b"at home" not in written


def test_a_picture_stands_as_its_camera_was_held() -> None:
    held = Image.new("RGB", (200, 200), (255, 0, 0))
    held.paste((0, 0, 255), (0, 0, 200, 100))  # blue above, as it is stored
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    written = BytesIO()
    held.save(written, "JPEG", exif=exif)

    image = Image.open(BytesIO(to_avatar(written.getvalue()))).convert("RGB")

    assert image.getpixel((128, 20))[0] > 200  # type: ignore[index]
    assert image.getpixel((128, 236))[2] > 200  # type: ignore[index]


def test_of_an_animated_picture_the_first_frame_is_shown() -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    for form in ("WEBP", "PNG"):
        written = BytesIO()
        frames[0].save(written, form, save_all=True, append_images=frames[1:])

        image = Image.open(BytesIO(to_avatar(written.getvalue())))

        assert getattr(image, "n_frames", 1) == 1
        assert image.convert("RGB").getpixel((9, 9))[0] > 200  # type: ignore[index]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_a_picture_may_have_any_colours(mode: str) -> None:
    form = "JPEG" if mode == "CMYK" else "PNG"
    written = BytesIO()
    Image.new(mode, (40, 50)).save(written, form)

    assert Image.open(BytesIO(to_avatar(written.getvalue()))).size == (256, 256)


def test_what_was_transparent_stays_so() -> None:
    image = Image.open(BytesIO(to_avatar(picture(colour=(0, 0, 0, 0)))))

    assert image.mode == "RGBA"
    assert image.getpixel((9, 9))[3] == 0  # type: ignore[index]


def bomb(side: int) -> bytes:
    """A PNG of a few kB that says it is `side` pixels wide and high."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * (side // 8 + 1) * 50, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


BROKEN = {
    "nothing": b"",
    "text": b"hello",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "gif": picture("GIF"),
    "bmp": picture("BMP"),
    "ico": picture("ICO", (32, 32)),
    "pdf": picture("PDF"),
    "half a PNG": picture(size=(900, 900))[:200],
    "half a JPEG": picture("JPEG")[:300],
    "half a WebP": picture("WEBP")[:40],
    "no pixels": bomb(0),
    "a bomb": bomb(50_000),
    "another bomb": bomb(4_001),
    "too many pixels": picture("JPEG", (4_001, 4_000)),
    "too many bytes": picture() + b"\0" * AVATAR_BYTES,
    "a header alone": b"\x89PNG\r\n\x1a\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_good_picture_is_refused(api: Api, ada: User, name: str) -> None:
    answer = api(ada)("user.set_avatar", image=sent(BROKEN[name]))

    if name == "too many bytes":
        assert (answer.status, list(answer.body["errors"])) == (400, ["image"])
    else:
        assert (answer.said, list(answer.body["errors"])) == ((400, "bad_image"), ["image"])
    assert not Avatar.objects.exists()


@pytest.mark.parametrize("image", ["!", "a", "data:image/png;base64,AAAA", "AAAA\n", "é"])
def test_what_is_no_base64_is_refused(api: Api, ada: User, image: str) -> None:
    assert api(ada)("user.set_avatar", image=image).said == (400, "bad_image")


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    monkeypatch.setattr(ImageOps, "exif_transpose", lambda image: decoded.append(1))

    for sides in (50_000, 4_001):
        assert sides**2 > AVATAR_PIXELS
        with pytest.raises(ValidationError):
            to_avatar(bomb(sides))
    assert decoded == []


def test_who_is_not_signed_in_has_no_picture(api: Api, ada: User) -> None:
    assert api()("user.set_avatar", image=None).said == (401, "not_signed_in")
