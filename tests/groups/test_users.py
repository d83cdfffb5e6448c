"""user.me, and the names of users."""

from groups.models import User
from tests.cast import Api


def test_me_is_who_calls(api: Api, ada: User) -> None:
    expected = {
        "id": ada.pk,
        "username": "ada",
        "display_name": "Ada",
        "avatar_url": None,
        "active": True,
        "time_zone": "",
        "language": "",
        "email": "ada@example.org",
        "staff": False,
    }

    assert api(ada)("user.me").body == {"user": expected}
    assert api(ada).get("user.me").body == {"user": expected}


def test_without_a_display_name_the_username_is_shown(api: Api, ada: User) -> None:
    User.objects.update(display_name="")

    assert api(ada)("user.me").body["user"]["display_name"] == "ada"


def test_others_do_not_see_an_address(api: Api, ada: User, bob: User) -> None:
    membership = ada.workspace_memberships.get()

    members = api(bob)("workspace.members", workspace_id=membership.workspace_id).body

    assert "example.org" not in str(members)
