"""Manifests as people write them, at random: every kind, every style, odd things in between."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

OPEN, CLOSE = "\ue000", "\ue001"
"""Around the text of the value that is to change, until the document is whole."""

_TEMPLATES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "Deployment": ("apps/v1", ("template", "spec")),
    "DaemonSet": ("apps/v1", ("template", "spec")),
    "StatefulSet": ("apps/v1", ("template", "spec")),
    "ReplicaSet": ("apps/v1", ("template", "spec")),
    "ReplicationController": ("v1", ("template", "spec")),
    "Job": ("batch/v1", ("template", "spec")),
    "CronJob": ("batch/v1beta1", ("jobTemplate", "spec", "template", "spec")),
    "Pod": ("v1", ()),
    "Rollout": ("argoproj.io/v1alpha1", ("template", "spec")),
}
_COMMENTS = (
    "# plain",
    "#",
    "# image: a:1 ---",
    "# {{ .Values.x }}",
    "#\ttab\tand 😀 ü",
    "#'\"*&!|>%@`",
)
_TEXTS = (
    "", "x", "yes", "0644", "1.10", "1e3", "null", "a: b", "a #b", "- a", "*x", "&x", "!x", "{a}",
    "it's", 'say "x"', "two\nlines\n", "image: a:1\n---\nimage: b:1\n", " lead", "trail ", "tab\tx",
    "ünï 😀", "22:22", "2024-01-01", "=", "<<", "~", "%x", "@x", "`x`", "a\\b",
    "x" * 90 + " y" * 30,
)  # fmt: skip
_PLAIN = frozenset({"x", "a\\b", "ünï 😀"})
_NUMBERS = ("0", "0644", "1e3", "true", "~", "1.0", "0x1f", "yes", "-1", "12345678901234567890")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A text, one of its containers, and the place of what is to change."""

    text: str
    workload: str
    container: str
    image: str
    start: int
    end: int


class _Raw(str):
    """A scalar as it is to be written."""

    __slots__ = ()


class _Wanted(str):
    """The scalar that is to change."""

    __slots__ = ()


class Writer:
    """Writes a value as YAML, each part in a style of its own."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.eol = random.choice(["\n", "\n", "\n", "\r\n"])
        self.json = random.random() < 0.05
        self.anchors = 0

    def document(self, value: Any) -> str:
        if self.json:
            return self.flow(value) + "\n"
        return self.block(value, 0)

    def block(self, value: Any, indent: int) -> str:
        if isinstance(value, dict):
            return "".join(self.pair(key, one, indent) for key, one in value.items())
        return "".join(self.item(one, indent) for one in value)

    def pair(self, key: str, value: Any, indent: int) -> str:
        pad, name = " " * indent, self.key(key)
        colon = self.random.choice([":", ":", ":", " :", ":  "])
        if not isinstance(value, dict | list) or not value or self.random.random() < 0.15:
            return f"{self.noise(indent)}{pad}{name}{colon} {self.inline(value, indent)}"
        step = self.random.choice([1, 2, 2, 2, 4])
        if isinstance(value, list) and self.random.random() < 0.5:
            step = 0
        anchor = self.anchor() if self.random.random() < 0.1 else ""
        end = f" {anchor}{self.tail()}" if anchor else self.tail()
        inner = self.block(value, indent + step)
        return f"{self.noise(indent)}{pad}{name}{colon.rstrip()}{end}{inner}"

    def item(self, value: Any, indent: int) -> str:
        pad, gap = " " * indent, self.random.choice([" ", " ", " ", "   "])
        if isinstance(value, dict) and value and self.random.random() > 0.15:
            inner = self.block(value, indent + 1 + len(gap))
            first = inner.lstrip(" ")
            if not first.startswith(("#", "\n")):
                return f"{self.noise(indent)}{pad}-{gap}{first}"
            return f"{pad}-{self.tail()}{inner}"
        return f"{self.noise(indent)}{pad}-{gap}{self.inline(value, indent)}"

    def inline(self, value: Any, indent: int) -> str:
        """Write what stands behind a key or dash, with the end of its line."""
        if isinstance(value, dict | list):
            return self.flow(value) + self.tail("\t")
        if isinstance(value, str) and not isinstance(value, _Raw) and self.blocky(value):
            return self.literal(value, indent)
        return self.scalar(value) + self.tail("\t")

    def blocky(self, value: str) -> bool:
        fits = value.strip() == value or value.endswith("\n")
        odd = not value.strip() or value[0] in " \t\n" or "\t" in value or len(value) > 80
        return fits and not odd and self.random.random() < (0.8 if "\n" in value else 0.1)

    def literal(self, value: str, indent: int) -> str:
        step = " " * (indent + self.random.choice([2, 3]))
        chomp = "" if value.endswith("\n") else "-"
        style = "|" if "\n" in value else self.random.choice("|>")
        body = self.marked(value, value.rstrip("\n"))
        lines = "".join(f"{step}{line}\n" for line in body.split("\n"))
        return f"{style}{chomp}{self.random.choice(['', ' # why'])}\n{lines}"

    def flow(self, value: Any) -> str:
        if isinstance(value, dict):
            gap = "" if self.json else self.random.choice(["", " "])
            pairs = [f"{self.key(key)}: {self.flow(one)}" for key, one in value.items()]
            comma = "," if pairs and not self.json and self.random.random() < 0.1 else ""
            return f"{{{gap}{self.comma().join(pairs)}{comma}{gap}}}"
        if isinstance(value, list):
            return f"[{self.comma().join(map(self.flow, value))}]"
        return self.scalar(value, flow=True)

    def comma(self) -> str:
        return self.random.choice([", ", ",  ", ","])

    def scalar(self, value: Any, *, flow: bool = False) -> str:
        if value is None:
            return "null"
        if isinstance(value, _Raw):
            return json.dumps(str(value)) if self.json else str(value)
        plain = isinstance(value, _Wanted) or value in _PLAIN
        if self.json:
            written = json.dumps(value, ensure_ascii=False)
        elif plain and self.random.random() < 0.6:
            written = str(value)
        elif self.random.random() < 0.5 and value.isprintable():
            written = "'" + value.replace("'", "''") + "'"
        else:
            written = json.dumps(value, ensure_ascii=False)
        anchor = "" if flow or self.json or self.random.random() > 0.05 else self.anchor()
        return self.marked(value, anchor + written)

    def marked(self, value: str, written: str) -> str:
        return f"{OPEN}{written}{CLOSE}" if isinstance(value, _Wanted) else written

    def anchor(self) -> str:
        self.anchors += 1
        return self.random.choice([f"&a{self.anchors} ", "&again "])

    def key(self, key: str) -> str:
        if self.json:
            return json.dumps(key)
        quoted = (key, key, key, key, f'"{key}"', f"'{key}'")
        return self.random.choice(quoted if key.isidentifier() else quoted[4:])

    def tail(self, *spaces: str) -> str:
        comment = self.random.choice(_COMMENTS)
        space = self.random.choice([" ", "   ", *spaces])
        return f"{space}{comment}\n" if self.random.random() < 0.1 else "\n"

    def noise(self, indent: int) -> str:
        if self.random.random() > 0.06:
            return ""
        at = " " * self.random.choice([0, indent, indent + 1])
        return self.random.choice([f"{at}{self.random.choice(_COMMENTS)}\n", "\n", "  \n"])


def document(random: Random) -> str:
    """Return a text of one document."""
    writer = Writer(random)
    value, _, _, _ = _object(random, 0, wanted=False)
    first = random.choice(["", "---\n", "# top\n", "\n"])
    return (first + writer.document(value)).replace("\n", writer.eol)


def case(random: Random) -> Case:
    """Return a file of one to four documents, and one container to change."""
    writer, wanted = Writer(random), random.randrange(4)
    objects = [_object(random, number, wanted=number == wanted) for number in range(4)]
    values = [value for value, _, _, _ in objects]
    if random.random() < 0.2:
        values = [{"apiVersion": "v1", "kind": "List", "items": values}]
    parts = [writer.document(value) for value in values]
    seps = [random.choice(["---\n", "--- # again\n", "...\n---\n"]) for _ in parts]
    first = random.choice(["", "---\n", "%YAML 1.1\n---\n", "# top\n", "\n"])
    text = first + "".join(f"{a}{b}" for a, b in zip(parts, seps, strict=True))
    text = text.rstrip("\n") if random.random() < 0.2 else text
    text = random.choice(["", "", "", "\ufeff"]) + text.replace("\n", writer.eol)
    start, end = text.index(OPEN), text.index(CLOSE) - 1
    _, workload, container, image = objects[wanted]
    return Case(
        text=text.replace(OPEN, "").replace(CLOSE, ""),
        workload=workload,
        container=container,
        image=image,
        start=start,
        end=end,
    )


def _object(random: Random, number: int, *, wanted: bool) -> tuple[Any, str, str, str]:
    name, namespace = f"name-{number}", random.choice(["shop", "", "x1"])
    metadata: dict[str, Any] = {"name": _Raw(name)}
    if namespace:
        metadata["namespace"] = _Raw(namespace)
    if random.random() < 0.6:
        keys = random.sample(["note", "acme.io/why", "fluxcd.io/automated", "b"], 2)
        metadata["annotations"] = {key: random.choice((*_TEXTS, None)) for key in keys}
    repository = random.choice(["a", "acme/web", "ghcr.io/acme/web", "registry:5000/x/y"])
    tag = random.choice(["1.10", "v1", "latest", "1e3", "0123", "main-2024-01-01", "true"])
    made = _release if random.random() < 0.25 else _pods
    kind, version, spec, container, whole = made(random, repository, tag, wanted)
    value = {"apiVersion": _Raw(version), "kind": _Raw(kind), "metadata": metadata, "spec": spec}
    keys = list(value)
    random.shuffle(keys)
    identity = f"{namespace or 'default'}:{kind.lower()}/{name}"
    return {key: value[key] for key in keys}, identity, container, whole


Made = tuple[str, str, Any, str, str]


def _pods(random: Random, repository: str, tag: str, wanted: bool) -> Made:  # noqa: FBT001 -- positional by design of `made`
    kind = random.choice(list(_TEMPLATES))
    version, path = _TEMPLATES[kind]
    digest = random.choice(["", "", "", "@sha256:" + "0a" * 32])
    image = f"{repository}:{tag}{digest}"
    names, chosen = ["one", "two", "three"], random.randrange(3)
    containers = [
        _container(random, name, image, wanted=wanted and number == chosen)
        for number, name in enumerate(names)
    ]
    spec: Any = {"initContainers": containers[:1], "containers": containers[1:]}
    for step in reversed(path):
        spec = _extra(random) | {step: spec}
    return kind, version, spec, names[chosen], image


def _container(random: Random, name: str, image: str, *, wanted: bool) -> Any:
    value = {"name": _Raw(name), "image": (_Wanted if wanted else str)(image), **_extra(random)}
    keys = list(value)
    random.shuffle(keys)
    return {key: value[key] for key in keys}


def _release(random: Random, repository: str, tag: str, wanted: bool) -> Made:  # noqa: FBT001 -- as above
    mark: Callable[[str], str] = _Wanted if wanted else str
    domain, slash, path = repository.rpartition("/")
    shapes: list[dict[str, Any]] = [
        {"image": mark(f"{repository}:{tag}")},
        {"image": repository, "tag": mark(tag)},
        {"image": {"repository": repository, "tag": mark(tag)}},
    ]
    if "." in domain or ":" in domain:
        shapes.append({"image": {"registry": domain, "repository": path, "tag": mark(tag)}})
    assert slash or not domain
    values = random.choice(shapes) | _extra(random)
    inner = random.random() < 0.5
    spec = {"values": {"web": values} if inner else values, **_extra(random)}
    container = "web" if inner else "chart-image"
    return "HelmRelease", "helm.fluxcd.io/v1", spec, container, f"{repository}:{tag}"


def _extra(random: Random) -> dict[str, Any]:
    """Return what else may stand in a mapping."""
    found: dict[str, Any] = {}
    if random.random() < 0.3:
        found["args"] = [random.choice(_TEXTS) for _ in range(random.randrange(4))]
    if random.random() < 0.3:
        found["odd key"] = {"number": _Raw(random.choice(_NUMBERS)), "text": random.choice(_TEXTS)}
    if random.random() < 0.2:
        found["nothing"] = random.choice([None, {}, []])
    return found
