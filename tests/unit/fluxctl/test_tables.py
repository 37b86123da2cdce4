"""Tables line up, and show of images what a person looks for. No gateway."""

import time
from collections.abc import Iterator

import pytest

from fluxctl import image_table, menu, tables, wire
from fluxctl.errors import CommandError
from tests.unit.fluxctl.given import SYNC_STATE

CART = "quay.io/shop/cart"


def images(*tags: str, current: str, **more: object) -> list[dict]:
    available = [{"ID": f"{CART}:{tag}"} for tag in tags]
    container = {"Name": "cart", "Current": {"ID": current}, "Available": available, **more}
    return [{"ID": "shop:deployment/cart", "Containers": [container]}]


def shown(found: list[dict], limit: int = 0) -> list[str]:
    return [row[2] for row in image_table.rows(found, limit)]


def test_the_example_of_the_documentation_is_printed_as_it_stands_there() -> None:
    found = images("1.4.0", "1.3.1", "1.3.0", "1.2.0", current=f"{CART}:1.3.0")
    container = found[0]["Containers"][0]
    for number, created in ((0, "2024-05-01"), (2, "2024-04-01"), (3, "2024-03-01")):
        container["Available"][number]["CreatedAt"] = f"{created}T08:00:00.5Z"
    found[0]["Containers"].append({"Name": "init", "Current": {"ID": "", "Labels": {}}})
    header = ("WORKLOAD", "CONTAINER", "IMAGE", "CREATED")
    assert tables.table(header, image_table.rows(found, 10)) == (
        "WORKLOAD              CONTAINER  IMAGE              CREATED\n"
        "shop:deployment/cart  cart       quay.io/shop/cart  \n"
        "                                 |   1.4.0          01 May 24 08:00 UTC\n"
        "                                 |   1.3.1          \n"
        "                                 '-> 1.3.0          01 Apr 24 08:00 UTC\n"
        "                                     1.2.0          01 Mar 24 08:00 UTC\n"
        "                      init                          image data not available\n"
        "                                 '-> (untagged)     ?\n"
    )


def test_beyond_the_limit_the_current_image_alone_is_shown() -> None:
    found = images("5", "4", "3", "2", "1", current=f"{CART}:2")
    assert shown(found, 2)[1:] == ["|   5", "|   4", ": (1 image(s) omitted)", "'-> 2"]
    assert shown(found, 3)[1:] == ["|   5", "|   4", "|   3", "'-> 2"]
    assert shown(found, 4)[1:] == ["|   5", "|   4", "|   3", "'-> 2"]
    assert shown(found)[1:] == ["|   5", "|   4", "|   3", "'-> 2", "    1"]
    # In another spelling it is recognised by its tag only where it is listed.
    assert shown(images("5", "4", "3", current="shop/cart:3"), 2)[1:] == ["|   5", "|   4"]


def test_a_current_tag_that_is_not_listed_is_shown_below() -> None:
    assert shown(images("5", current=f"{CART}:1"))[1:] == ["|   5", "'-> 1"]
    assert shown(images("5", current="nginx")) == ["nginx", "|   5", "'-> (untagged)"]
    pinned = f"{CART}@sha256:{'a' * 64}"
    assert shown(images("5", current=pinned)) == [CART, "|   5", "'-> (untagged)"]


def test_why_there_are_no_tags_is_shown() -> None:
    (first, second) = image_table.rows(images(current=f"{CART}:1", AvailableError="refused"), 10)
    assert first[3] == "refused"
    assert second == ("", "", "'-> 1", "?")
    assert image_table.rows([{"ID": "a:b/c"}], 10) == [("a:b/c", "", "", "")]


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("told", "printed"),
    [
        ("2024-05-01T08:00:00Z", "01 May 24 08:00 UTC"),
        ("2024-05-01T08:00:00.123456789Z", "01 May 24 08:00 UTC"),
        ("2024-05-01T08:00:00+02:00", "01 May 24 08:00 CEST"),
        ("2024-01-01T08:00:00+01:00", "01 Jan 24 08:00 CET"),
        ("2024-01-01T08:00:00+02:00", "01 Jan 24 08:00 +0200"),
        ("2024-05-01T08:00:00-07:30", "01 May 24 08:00 -0730"),
        ("0001-01-01T00:00:00Z", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_times_are_shown_in_their_own_zone(told: str | None, printed: str) -> None:
    assert image_table.moment(told) == printed


def test_results_hide_what_was_skipped_until_asked() -> None:
    change = {"Container": "web", "Current": "quay.io/acme/web:1.1.0", "Target": "x/web:1.2.0"}
    side = {"Container": "side", "Current": "alpine:3", "Target": "alpine:4"}
    result = {
        "demo:deployment/web": {"Status": "success", "PerContainer": [change, side]},
        "demo:deployment/api": {"Status": "skipped", "Error": "locked", "PerContainer": None},
        "demo:deployment/bad": {"Status": "failed", "Error": "kaput"},
        "demo:deployment/db": {"Status": "ignored", "Error": "not included"},
        "demo:deployment/so": {"Status": "success", "PerContainer": None},
    }
    assert tables.results(result, 1) == (
        "WORKLOAD             STATUS   UPDATES\n"
        "demo:deployment/api  skipped  locked\n"
        "demo:deployment/bad  failed   kaput\n"
        "demo:deployment/so   success  \n"
        "demo:deployment/web  success  web: quay.io/acme/web:1.1.0 -> 1.2.0\n"
        "                              side: alpine:3 -> 4\n"
    )
    assert "skipped" not in tables.results(result, 0)
    assert "not included" in tables.results(result, 2)
    assert tables.results({}, 0) == "WORKLOAD   STATUS   UPDATES\n"


def test_a_digest_says_all_so_no_tag_is_shown_beside_it() -> None:
    one = {"ID": "a:b/c", "Containers": [{"Name": "c", "Current": {"ID": "x/y:1@sha256:ab"}}]}
    assert tables.workloads([one]) == [("a:b/c", "c", "x/y@sha256:ab", "", "")]


def test_images_in_json_keep_their_counts_and_lose_what_is_beyond_the_limit() -> None:
    found = images("5", "4", current=f"{CART}:4", AvailableImagesCount=2, NewFilteredImagesCount=0)
    found[0]["Containers"][0]["Available"][0] |= {
        "CreatedAt": "2024-05-01T10:00:00.500+02:00",
        "Digest": "sha256:ab",
        "Labels": {"other": "x", "org.opencontainers.image.created": "2024-05-01T08:00:00Z"},
    }
    assert wire.line(wire.images(found, 1)) == (
        '[{"ID":"shop:deployment/cart","Containers":[{"Name":"cart",'
        '"Current":{"ID":"quay.io/shop/cart:4","Labels":{}},'
        '"LatestFiltered":{"ID":"","Labels":{}},'
        '"Available":[{"ID":"quay.io/shop/cart:5","Digest":"sha256:ab",'
        '"Labels":{"org.opencontainers.image.created":"2024-05-01T08:00:00Z"},'
        '"CreatedAt":"2024-05-01T08:00:00.5Z"}],"AvailableImagesCount":2}]}]'
    )


PLAN = {
    "a:deployment/x": {
        "Status": "success",
        "PerContainer": [
            {"Container": "x", "Current": "x:1", "Target": "x:2"},
            {"Container": "y", "Current": "y:1", "Target": "y:2"},
        ],
    },
    "a:deployment/z": {"Status": "skipped", "Error": "locked"},
}


def chosen(*answers: str) -> object:
    left = list(answers)
    printed: list[object] = []
    return menu.choose(PLAN, 2, ask=lambda _: left.pop(0), show=printed.append)


def test_a_person_unticks_what_is_not_wanted() -> None:
    updates = PLAN["a:deployment/x"]["PerContainer"]
    assert chosen("") == {"a:deployment/x": updates}
    assert chosen("2, 9 nonsense", "") == {"a:deployment/x": [updates[0]]}
    assert chosen("1", "1 2", "") == {"a:deployment/x": [updates[0]]}


@pytest.mark.parametrize("answers", [("q",), ("1 2", "")])
def test_nothing_chosen_is_aborted(answers: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="Aborted"):
        chosen(*answers)
    with pytest.raises(CommandError, match="No changes found"):
        menu.choose({"a:b/c": {"Status": "ignored"}}, 2, ask=str, show=print)


def test_a_tag_that_is_held_says_why() -> None:
    held = {"Tag": "1.4.0", "Reason": "rolled back by Ann"}
    assert shown(images("1.4.0", "1.3.1", current=f"{CART}:1.3.1", Held=held)) == [
        CART,
        "|   1.4.0 (held: rolled back by Ann)",
        "'-> 1.3.1",
    ]


@pytest.mark.parametrize(
    ("declared", "applied", "state"),
    [("", "", "nothing declared yet"), ("a", "", "applying"), ("a", "a", "applied")],
)
def test_a_sync_of_which_nothing_is_known_is_not_called_applied(
    declared: str, applied: str, state: str
) -> None:
    one = {**SYNC_STATE, "declared": declared, "applied": applied}
    assert tables.syncs([one]).splitlines()[1].endswith(f"  {state}")
