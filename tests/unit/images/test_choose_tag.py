"""The newest tag that a policy asks for, never below the declared one, and why not the rest."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.images import Candidate, ImageRef, Reason, TagPolicy, Version, choose, ranked

START = datetime(2024, 1, 1, tzinfo=UTC)
DIGEST = "sha256:" + "0" * 64


def at(tag: str, hours: float | None = None) -> Candidate:
    created = None if hours is None else START + timedelta(hours=hours)
    return Candidate(tag=tag, created=created)


def image(tag: str) -> ImageRef:
    return ImageRef.parse(f"acme/web:{tag}")


def test_the_highest_version_is_chosen_and_every_tag_has_its_reason() -> None:
    tags = ["1.0.0", "1.0.1", "1.0.2", "1.0.10", "1.1.0", "1.0.11-rc.1", "latest", "main"]
    choice = choose(map(at, tags), TagPolicy.parse("semver:~1.0"), image("1.0.1"))
    assert choice.tag == "1.0.10"
    assert choice.why == "semver:~1.0 prefers 1.0.10 to 1.0.1"
    assert choice.reasons == {
        "1.0.0": Reason.OLDER,
        "1.0.1": Reason.CURRENT,
        "1.0.2": Reason.NOT_NEWEST,
        "1.0.10": Reason.CHOSEN,
        "1.1.0": Reason.NO_MATCH,
        "1.0.11-rc.1": Reason.NO_MATCH,
        "latest": Reason.LATEST,
        "main": Reason.NOT_A_VERSION,
    }


def test_the_newest_by_creation_time_is_chosen() -> None:
    tags = [at("main-1", 1), at("main-2", 2), at("main-3", 3), at("main-0", 0), at("main-4")]
    choice = choose([*tags, at("dev-9", 9)], TagPolicy.parse("glob:main-*"), image("main-1"))
    assert choice.tag == "main-3"
    assert choice.reasons == {
        "main-0": Reason.OLDER,
        "main-1": Reason.CURRENT,
        "main-2": Reason.NOT_NEWEST,
        "main-3": Reason.CHOSEN,
        "main-4": Reason.NO_CREATION_TIME,
        "dev-9": Reason.NO_MATCH,
    }


def test_of_equal_ones_flux_v1s_is_chosen() -> None:
    same = [at("b", 1), at("a", 1), at("c", 0)]
    assert choose(same, TagPolicy.parse("glob:*"), image("c")).tag == "a"
    assert choose([at("1.10"), at("1.10.0")], TagPolicy.parse("semver:*"), image("1")).tag == (
        "1.10.0"
    )


def test_reproducible_builds_do_not_move_backwards() -> None:
    same = [at("main-1", 0), at("main-9", 0)]
    choice = choose(same, TagPolicy.parse("glob:main-*"), image("main-9"))
    assert not choice
    assert choice.reasons["main-1"] is Reason.SAME_AGE


@pytest.mark.parametrize("pattern", ["semver:~1.0", "glob:1.0*"])
def test_an_edited_policy_may_go_backwards(pattern: str) -> None:
    choice = choose([at("1.0.0", 0), at("2.0.0", 5)], TagPolicy.parse(pattern), image("2.0.0"))
    assert choice.tag == "1.0.0"


def test_a_declared_tag_of_unknown_age_stays() -> None:
    choice = choose([at("main-2", 2)], TagPolicy.parse("glob:main-*"), image("main-1"))
    assert choice.reasons == {"main-2": Reason.CURRENT_UNKNOWN}
    assert "acme/web:main-1 is not known" in choice.why
    known = choose(
        [at("main-2", 2)], TagPolicy.parse("main-*"), image("main-1"), current_created=START
    )
    assert known.tag == "main-2"


def test_a_declared_version_need_not_be_in_the_registry() -> None:
    policy = TagPolicy.parse("semver:*")
    assert choose([at("1.0.1")], policy, image("1.0.0")).tag == "1.0.1"
    assert choose([at("0.9.9")], policy, image("1.0.0")).tag is None


def test_go_zero_time_is_no_creation_time() -> None:
    zero = Candidate(tag="main-2", created=datetime(1, 1, 1, tzinfo=UTC))
    choice = choose([zero, at("main-1", 1)], TagPolicy.parse("main-*"), image("main-1"))
    assert choice.reasons["main-2"] is Reason.NO_CREATION_TIME


def test_untagged_moves_by_version_only() -> None:
    untagged = ImageRef.parse("acme/web")
    assert choose([at("1.0")], TagPolicy.parse("semver:*"), untagged).tag == "1.0"
    by_time = choose([at("x", 1)], TagPolicy.parse("glob:*"), untagged)
    assert by_time.reasons == {"x": Reason.UNTAGGED}


@pytest.mark.parametrize("written", [f"acme/web@{DIGEST}", f"acme/web:1.0@{DIGEST}"])
@pytest.mark.parametrize("pattern", ["semver:*", "glob:*"])
def test_what_is_pinned_by_digest_is_left_alone(written: str, pattern: str) -> None:
    choice = choose([at("1.1", 1)], TagPolicy.parse(pattern), ImageRef.parse(written))
    assert choice.reasons == {"1.1": Reason.PINNED}
    assert "pinned by its digest" in choice.why


def test_an_invalid_policy_is_the_reason_of_all() -> None:
    choice = choose([at("1", 1), at("2", 2)], TagPolicy.parse("semver:?"), image("1"))
    assert choice.reasons == {"1": Reason.CURRENT, "2": Reason.INVALID_POLICY}
    assert choice.why.startswith("semver:? matches no tag")


def test_ranking_puts_the_preferred_first_and_the_unknown_last() -> None:
    tags = [at("a"), at("b", 1), at("c", 2), at("latest", 3)]
    assert [one.tag for one in ranked(tags, TagPolicy.parse("glob:*"))] == ["c", "b", "a"]


numbers = st.integers(0, 3)
versions = st.builds("{}.{}.{}{}".format, numbers, numbers, numbers, st.sampled_from(["", "-rc.1"]))
candidates = st.lists(
    st.builds(
        at,
        st.one_of(versions, st.sampled_from(["latest", "main"])),
        st.one_of(st.none(), st.integers(0, 3)),
    ),
    unique_by=lambda one: one.tag,
)
patterns = st.sampled_from(["semver:*", "semver:>=0.0.0-0", "semver:~1.0", "glob:*", "regexp:^1"])


@given(candidates, patterns, versions)
def test_the_choice_is_never_below_the_declared_tag(
    found: list[Candidate], pattern: str, declared: str
) -> None:
    policy, current = TagPolicy.parse(pattern), image(declared)
    choice = choose(found, policy, current)
    assert choice.reasons.keys() == {one.tag for one in found}
    assert list(choice.reasons.values()).count(Reason.CHOSEN) == bool(choice)
    if not choice.chosen or not policy.matches(declared):
        return
    if policy.needs_created:
        was = next(one.created for one in found if one.tag == declared)
        assert was
        assert choice.chosen.created
        assert choice.chosen.created > was
    else:
        old, new = Version.parse(declared), Version.parse(choice.chosen.tag)
        assert old
        assert new
        assert new.key > old.key


@given(candidates, patterns, versions, st.data())
def test_a_part_of_the_list_never_leads_further_than_all_of_it(
    found: list[Candidate], pattern: str, declared: str, data: st.DataObject
) -> None:
    policy, current = TagPolicy.parse(pattern), image(declared)
    some = data.draw(st.lists(st.sampled_from(found), unique=True)) if found else []
    part, whole = choose(some, policy, current), choose(found, policy, current)
    if part and policy.matches(declared):
        assert whole
        order = [one.tag for one in ranked(found, policy)]
        assert order.index(str(whole.tag)) <= order.index(str(part.tag))
