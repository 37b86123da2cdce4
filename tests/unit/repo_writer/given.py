"""What the tests of repo_writer start from: manifests, messages, and one group handled."""

from collections.abc import Iterable, Mapping

from services.repo_writer import handlers
from services.repo_writer.refusals import Refusals
from shared.bus.port import Outcome
from shared.contract import (
    Cause,
    Change,
    ContainersSpec,
    Draft,
    Envelope,
    ImagesFound,
    ImageSpec,
    Message,
    PolicyChange,
    PolicySpec,
    UpdateRequested,
)
from shared.manifests import Policies
from tests.unit.repo_writer.fakes import FakeRegistry, FakeRepo

REPOSITORY = "git.example.com/acme/apps#main"
HOST = "registry.example.com"
WEB, PINNED = "default:deployment/web", "default:deployment/pinned"


def deployment(name: str, tag: str, **policies: str) -> str:
    lines = "".join(f'    fluxcd.io/{key}: "{value}"\n' for key, value in policies.items())
    annotations = f"  annotations:\n{lines}" if lines else ""
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n{annotations}"
        "spec:\n  template:\n    spec:\n      containers:\n"
        f"        - name: main\n          image: {HOST}/{name}:{tag} # kept\n"
    )


AUTOMATED = deployment("web", "1.0.0", automated="true", **{"tag.main": "semver:~1"})
LOCKED = deployment("pinned", "1.0.0", automated="true", locked="true")
POLICY = Policies(values={"automated": "true", "tag.main": "semver:~1"}).digest()


def found(chosen: str = "1.1.0", current: str = "1.0.0", workload: str = WEB) -> ImagesFound:
    name = workload.rpartition("/")[2]
    return ImagesFound(
        repository=REPOSITORY,
        sync="apps",
        workload=workload,
        container="main",
        current=f"{HOST}/{name}:{current}",
        chosen=f"{HOST}/{name}:{chosen}",
        policy_digest=POLICY,
        why="semver:~1 prefers it",
    )


def said(*messages: Message) -> list[Envelope]:
    return [Draft(message=message).sealed("/test") for message in messages]


def release(image: str = "<all latest>", *workloads: str, force: bool = False) -> UpdateRequested:
    spec = ImageSpec(workloads=workloads or ("<all>",), image=image, force=force)
    return UpdateRequested(repository=REPOSITORY, spec=spec, cause=Cause(user="Flux"))


def policies(
    workload: str = WEB, *remove: str, cause: Cause | None = None, **add: str
) -> UpdateRequested:
    spec = PolicySpec(changes={workload: PolicyChange(add=add, remove=remove)})
    return UpdateRequested(repository=REPOSITORY, spec=spec, cause=cause or Cause())


def ticked(
    changes: Mapping[str, Iterable[tuple[str, str, str]]],
    *,
    skip: bool = False,
    force: bool = False,
) -> UpdateRequested:
    spec = ContainersSpec(
        changes={
            name: tuple(Change(container=c, current=old, target=new) for c, old, new in some)
            for name, some in changes.items()
        },
        skip_mismatches=skip,
        force=force,
    )
    return UpdateRequested(repository=REPOSITORY, spec=spec)


async def handle(
    repo: FakeRepo,
    group: Iterable[Envelope],
    registry: FakeRegistry | None = None,
    refusals: Refusals | None = None,
) -> Outcome:
    return await handlers.on_group(
        REPOSITORY,
        list(group),
        repos={REPOSITORY: repo},
        registry=registry or FakeRegistry(web=("1.1.0", "1.0.0"), pinned=("2.0.0", "1.0.0")),
        refusals=refusals or Refusals(),
    )


def events(outcome: Outcome, kind: type[Message]) -> list:
    return [draft.message for draft in outcome.events if isinstance(draft.message, kind)]
