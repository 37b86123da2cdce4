"""What registries say is understood, in the forms that real ones use, or refused with a reason."""

import pytest
from yarl import URL

from services.registry_scanner import documents
from services.registry_scanner.challenge import challenges
from services.registry_scanner.ports import UnreadableError

PAGE = URL("https://r.example.com/v2/a/tags/list?n=100")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="x"', [("basic", {"realm": "x"})]),
        ("basic realm=x", [("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://a/token",service="s",scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://a/token",
                        "service": "s",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        (
            'Bearer realm="t", service=s, Basic realm="Basic x=1, y"',
            [("bearer", {"realm": "t", "service": "s"}), ("basic", {"realm": "Basic x=1, y"})],
        ),
        (
            'Basic realm="x", Bearer realm="https://a/token?x=1,2", service="a, Basic b=c"',
            [
                ("basic", {"realm": "x"}),
                ("bearer", {"realm": "https://a/token?x=1,2", "service": "a, Basic b=c"}),
            ],
        ),
        (
            'BEARER REALM="t" , Scope = "a,b"',
            [("bearer", {"realm": "t", "scope": "a,b"})],
        ),
        ('Negotiate abc==, Basic realm="x"', [("negotiate", {}), ("basic", {"realm": "x"})]),
        (r'Basic realm="a \"quoted\", word"', [("basic", {"realm": 'a "quoted", word'})]),
        ('Basic realm=""', [("basic", {"realm": ""})]),
        (
            'Basic realm="never closed, Bearer realm="t"',
            [("basic", {"realm": "never closed, Bearer realm="})],
        ),
        ("Negotiate", [("negotiate", {})]),
        ("", []),
        (" , ,", []),
    ],
)
def test_challenges_are_read_with_commas_in_quotes_and_several_in_one_header(
    header: str, expected: list[tuple[str, dict[str, str]]]
) -> None:
    assert [(one.scheme, dict(one.parameters)) for one in challenges(header)] == expected


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ([], None),
        (['</v2/a/tags/list?last=b&n=100>; rel="next"'], "/v2/a/tags/list?last=b&n=100"),
        (["</v2/a/tags/list?last=b>; rel=next"], "/v2/a/tags/list?last=b"),
        (['<?last=b>;title="x";  REL = "prev Next"'], "/v2/a/tags/list?last=b"),
        (['<https://r.example.com:443/x>; rel="next"'], "/x"),
        (['</first>; rel="first", </x>; rel="next"'], "/x"),
        (['</first>; rel="first"', '</x>; rel="next"'], "/x"),
        (['</x>; rel="first"', '</x>; title="next"', '</x>; rel="nextish"'], None),
        (["nonsense", "<>", '<never closed; rel="next"'], None),
    ],
)
def test_the_next_page_is_found_whatever_the_form_of_its_link(
    links: list[str], expected: str | None
) -> None:
    found = documents.next_page(PAGE, links)
    assert (found and found.path_qs) == expected


@pytest.mark.parametrize(
    "target",
    [
        "https://other.example.com/x",
        "//other.example.com/x",
        "http://r.example.com/x",
        "https://r.example.com:444/x",
        "mailto:x",
        "http://[",
    ],
)
def test_a_next_page_elsewhere_is_refused(target: str) -> None:
    with pytest.raises(UnreadableError, match="the next page"):
        documents.next_page(PAGE, [f'<{target}>; rel="next"'])
