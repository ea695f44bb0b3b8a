"""`counterseal key link`: a link that signs a person in on the screens, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.commands import Installation, installed
from tests.support.doors import House, opened
from tests.support.screens import Page, Person


@pytest.fixture(scope="module")
def here(run_directory: Path) -> Iterator[Installation]:
    with installed(run_directory) as made:
        words = ("--first-number", "S-0001", "--first-name", "张三")
        assert made.say("tenant", "create", "tea", *words).code == 0
        yield made


@pytest.fixture(scope="module")
def screens(here: Installation) -> Iterator[House]:
    """The doors of this installation."""
    assert here.database is not None
    with opened(here.database, here.folder) as made:
        made.follow()
        yield made


def use(house: House, url: str) -> tuple[Person, Page]:
    """Open a link and press its button."""
    parts = urlsplit(url.strip())
    person = Person(house)
    page = person.open(f"{parts.path}?{parts.query}")
    (form,) = [one for one in page.forms if "link" in one.fields]
    return person, person.submit(form)


def test_a_link_for_a_member_of_staff_makes_a_key_of_its_own(
    here: Installation, screens: House
) -> None:
    made = here.say("key", "link", "--party", "staff:S-0001", "--minutes", "5")
    assert made.code == 0, made.err
    assert made.out.startswith("http://127.0.0.1:8470/sign-in?link=sl_")
    assert "within 5 minutes" in made.err
    person, page = use(screens, made.out)
    assert page.status == 200
    key = here.say("key", "list", "--json").json()[-1]
    assert key["ends"] is not None, "the key ends with the longest session"
    assert "grants:approve" in key["scopes"]
    assert here.say("key", "end", key["key_id"]).code == 0
    assert person.send("GET", "/work").status_code == 303, "ended with its key"


def test_a_link_for_a_key_that_there_is(here: Installation, screens: House) -> None:
    words = ("--party", "staff:S-0001", "--scope", "grants:read", "--json")
    key = here.say("key", "create", *words).json()["key_id"]
    made = here.say("key", "link", key, "--json", COUNTERSEAL_PUBLIC_URL="https://seal.example/")
    link = made.json()
    assert link["key_id"] == key
    assert link["url"].startswith("https://seal.example/sign-in?link=sl_")
    _, page = use(screens, link["url"])
    assert page.status == 200
    assert len([one for one in here.say("key", "list", "--json").json() if one["key_id"] == key])


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((), 2, "key.link_whose"),
        (("01900000-0000-7000-8000-00000000dead", "--party", "staff:S-0001"), 2, "key.link_whose"),
        (("nonsense",), 2, "key.malformed"),
        (("01900000-0000-7000-8000-00000000dead",), 1, "key.not_good"),
        (("--party", "staff:S-9"), 2, "party.unknown"),
        (("--party", "staff:S-0001", "--scope", "everything"), 2, "key.scope"),
        (("--party", "staff:S-0001", "--minutes", "0"), 2, ""),
    ],
)
def test_a_link_nobody_could_use_is_not_made(
    here: Installation, words: tuple[str, ...], code: int, sentence: str
) -> None:
    refused = here.say("key", "link", *words)
    assert (refused.code, refused.out) == (code, "")
    assert sentence in refused.err
