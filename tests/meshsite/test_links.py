"""The address of a message, as people give it to each other."""

import pytest
from django.test import Client

from groups.models import User

pytestmark = pytest.mark.django_db


def test_a_link_leads_to_the_message_on_the_page(client: Client, ada: User) -> None:
    client.force_login(ada)
    assert client.get("/c/3/57").headers["Location"] == "/#/channels/3/57"


def test_who_is_signed_out_signs_in_first_and_is_led_there_then(client: Client) -> None:
    assert client.get("/c/3/57").headers["Location"] == "/accounts/login/?next=/c/3/57"
