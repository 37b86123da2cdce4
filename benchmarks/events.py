"""What a log holds after some days: events of all kinds in the shares and sizes of a real place."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import Random

from shared.contract import (
    Change,
    Commit,
    Container,
    DependencyDown,
    DependencyUp,
    Draft,
    DriftCorrected,
    Event,
    ImagesFound,
    ObjectResult,
    OrderAccepted,
    OrderCompleted,
    OrderGiven,
    RevisionObserved,
    Rollout,
    ScanCompleted,
    StateDeclared,
    SyncCompleted,
    UpdatePushed,
    Workload,
    WorkloadChanged,
    WorkloadResult,
)

SYNCS = 100
WORKLOADS = 20
"""Of each sync."""
COMMITS = 10
"""Of a revision that is observed."""
TARGET = "default"

REPOSITORIES = {f"git.example.com/shop/config-{n}#main": (f"sync-{n}",) for n in range(SYNCS)}
"""The syncs, by repository."""

_NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def events(count: int) -> Iterator[Draft]:
    """Yield *count* events; the same ones each time."""
    random = Random(1)
    kinds, shares = zip(*_SHARES.items(), strict=True)
    for kind in random.choices(kinds, shares, k=count):
        job = f"job-{random.randrange(1_000)}"
        yield Draft(message=kind(random.randrange(SYNCS), random), correlationid=job)


def _revision(random: Random) -> str:
    return f"{random.getrandbits(160):040x}"


def _name(sync: int, random: Random) -> str:
    return f"shop-{sync}:deployment/service-{random.randrange(WORKLOADS)}"


def _repository(sync: int) -> str:
    return f"git.example.com/shop/config-{sync}#main"


def _image(sync: int, number: int) -> str:
    return f"registry.example.com/shop/service-{sync}-{number}"


def _scan(sync: int, random: Random) -> Event:
    return ScanCompleted(
        image=_image(sync, random.randrange(WORKLOADS)),
        tags=80,
        newest="1.27.3",
        seconds=0.0123,
        requests=1,
        found=0,
    )


def _state(sync: int, random: Random) -> Event:
    workloads = [
        Workload(
            id=f"shop-{sync}:deployment/service-{number}",
            file=f"clusters/prod/shop-{sync}/service-{number}.yaml",
            containers=(
                Container(name="main", image=f"{_image(sync, number)}:1.27.3"),
                Container(name="proxy", image="registry.example.com/proxy:2.1.0"),
            ),
            policies={"automated": "true", "tag.main": "semver:~1"},
            policy_digest="0123456789abcdef",
        )
        for number in range(WORKLOADS)
    ]
    return StateDeclared(
        sync=f"sync-{sync}",
        target=TARGET,
        repository=_repository(sync),
        url=f"https://git.example.com/shop/config-{sync}.git",
        branch="main",
        paths=("clusters/prod",),
        revision=_revision(random),
        bundle=_revision(random),
        workloads=tuple(workloads),
        objects=4 * WORKLOADS,
    )


def _synced(sync: int, random: Random) -> Event:
    changed = [
        ObjectResult(
            id=f"apps/Deployment shop-{sync}/service-{number}",
            action="configured",
            file=f"clusters/prod/shop-{sync}/service-{number}.yaml",
            line=1,
        )
        for number in range(random.choice((0, 0, 1, 2)))
    ]
    return SyncCompleted(
        sync=f"sync-{sync}",
        target=TARGET,
        repository=_repository(sync),
        revision=_revision(random),
        counts={"unchanged": 4 * WORKLOADS - len(changed), "configured": len(changed)},
        objects=tuple(changed),
        seconds=0.21,
        requests=8,
    )


def _changed(sync: int, random: Random) -> Event:
    name = _name(sync, random)
    return WorkloadChanged(
        sync=f"sync-{sync}",
        target=TARGET,
        id=name,
        containers={"main": f"registry.example.com/{name}:1.27.3"},
        status=random.choice(("updating", "ready")),
        rollout=Rollout(desired=3, updated=2, ready=3, available=3),
        labels={"app.kubernetes.io/name": name, "team": "shop"},
    )


def _found(sync: int, random: Random) -> Event:
    number = random.randrange(WORKLOADS)
    return ImagesFound(
        repository=_repository(sync),
        sync=f"sync-{sync}",
        workload=f"shop-{sync}:deployment/service-{number}",
        container="main",
        current=f"{_image(sync, number)}:1.27.3",
        chosen=f"{_image(sync, number)}:1.27.4",
        digest=f"sha256:{_revision(random)}",
        created=_NOW,
        policy_digest="0123456789abcdef",
        why="semver:~1 prefers 1.27.4 to 1.27.3",
    )


def _observed(sync: int, random: Random) -> Event:
    commits = [
        Commit(
            revision=_revision(random),
            author="Ana Example <ana@example.com>",
            message="Release service 1.27.4\n\nWith the new proxy, and less memory.",
            time=_NOW,
        )
        for _ in range(COMMITS)
    ]
    return RevisionObserved(
        repository=_repository(sync),
        url=f"https://git.example.com/shop/config-{sync}.git",
        branch="main",
        revision=commits[0].revision,
        commits=tuple(commits),
    )


def _result(sync: int, random: Random) -> dict[str, WorkloadResult]:
    image = _image(sync, 0)
    change = Change(container="main", current=f"{image}:1.27.3", target=f"{image}:1.27.4")
    return {_name(sync, random): WorkloadResult(status="success", changes=(change,))}


def _pushed(sync: int, random: Random) -> Event:
    return UpdatePushed(
        repository=_repository(sync),
        revision=_revision(random),
        previous=_revision(random),
        message="Release service 1.27.4",
        kind="auto",
        result=_result(sync, random),
    )


def _given(sync: int, random: Random) -> Event:
    spec = {
        "Kind": "execute",
        "ServiceSpecs": [_name(sync, random)],
        "ImageSpec": "<all latest>",
        "Excludes": [],
        "Force": False,
    }
    cause = {"User": "Ana", "Message": "the new proxy"}
    return OrderGiven(target=TARGET, spec={"type": "image", "cause": cause, "spec": spec})


def _accepted(sync: int, random: Random) -> Event:
    return OrderAccepted(order=f"order-{random.randrange(1_000)}", about=_repository(sync))


def _ended(sync: int, random: Random) -> Event:
    return OrderCompleted(
        order=f"order-{random.randrange(1_000)}",
        about=_repository(sync),
        revision=_revision(random),
        result=_result(sync, random),
    )


def _corrected(sync: int, random: Random) -> Event:
    return DriftCorrected(
        sync=f"sync-{sync}",
        target=TARGET,
        id=f"apps/Deployment shop-{sync}/service-{random.randrange(WORKLOADS)}",
        what="changed",
        manager="kubectl-edit",
        seconds=0.03,
    )


def _down(sync: int, _: Random) -> Event:
    name = f"registry registry-{sync}.example.com"
    return DependencyDown(service="registry-scanner", dependency=name, reason="it does not answer")


def _up(sync: int, _: Random) -> Event:
    name = f"registry registry-{sync}.example.com"
    return DependencyUp(service="registry-scanner", dependency=name, seconds=12.5)


_SHARES: dict[Callable[[int, Random], Event], int] = {
    _scan: 40,
    _synced: 20,
    _state: 15,
    _changed: 12,
    _found: 3,
    _observed: 2,
    _pushed: 2,
    _given: 1,
    _accepted: 1,
    _ended: 1,
    _corrected: 1,
    _down: 1,
    _up: 1,
}
"""Percent: what is said again and again (images are read every 45 seconds, syncs every few minutes)
is most of a log."""
