"""git_watcher declares what generators print; a failing one spoils its folder and nothing else."""

import pytest
import structlog

from shared.contract import HeadQuestion, HeadTold, StateDeclared
from shared.runtime.errors import TemporaryError
from tests.unit.git_watcher.test_polling import REPOSITORY, Stage, config_map, deployment, sync

GENERATED = "version: 1\npatchUpdated:\n  generators: [{command: print}]\n  patchFile: patch.yaml\n"
PATCH = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: main, image: 'web:2'}]}}}
"""


def names(stage: Stage, sync_name: str = "apps") -> list[str]:
    bundle = [one for one in stage.bus.bundles() if one.header.sync == sync_name][-1]
    return [str(item.id) for item in bundle.objects]


def problems(stage: Stage) -> list[str]:
    return [f"{p.file}: {p.message}" for p in stage.bus.messages(StateDeclared)[-1].problems]


async def test_what_generators_print_is_declared_instead_of_the_files_with_its_patches() -> None:
    stage = Stage(sync("apps", "staging", "plain", generates=True))
    stage.renderer.prints["print"] = config_map("a") + "---\n" + deployment("web")
    stage.mirror.push(
        {
            "staging/.flux.yaml": GENERATED,
            "staging/left-out.yaml": config_map("left-out"),
            "staging/patch.yaml": PATCH,
            "plain/b.yaml": config_map("b"),
        }
    )
    await stage.handle()

    assert names(stage) == [
        "ConfigMap shop/b",
        "ConfigMap shop/a",
        "apps/Deployment shop/web",
    ]
    (web,) = stage.bus.messages(StateDeclared)[-1].workloads
    assert (web.file, web.containers[0].image) == ("staging/.flux.yaml", "web:2")
    assert stage.renderer.orders[0].folder == "staging"
    assert problems(stage) == []


async def test_while_the_tree_stays_no_program_runs_again() -> None:
    stage = Stage(sync("apps", "staging", generates=True, interval=0.001))
    stage.renderer.prints["print"] = config_map("a")
    files = {".flux.yaml": GENERATED, "staging/x": ""}
    stage.mirror.push(files)
    for _ in range(3):
        await stage.handle()
    stage.mirror.push(files)
    await stage.handle()
    assert len(stage.renderer.orders) == 1

    stage.mirror.push({**files, "base/y": "what it may read"})
    await stage.handle()
    assert len(stage.renderer.orders) == 2


async def test_what_is_printed_again_is_not_read_again() -> None:
    stage = Stage(sync("apps", "staging", generates=True))
    stage.renderer.prints["print"] = config_map("a")
    read = []
    for text in ("one", "two"):
        stage.mirror.push({"staging/.flux.yaml": GENERATED, "README.md": text})
        await stage.handle()
        ((_, file),) = stage.branch._generating._before.values()
        read.append(file)
    assert len(stage.renderer.orders) == 2
    assert read[0] is read[1]


async def test_a_repository_that_is_too_large_is_a_problem_of_its_folder() -> None:
    stage = Stage(sync("apps", "staging", "plain", generates=True))
    stage.mirror.too_large = True
    stage.mirror.push({"staging/.flux.yaml": GENERATED, "plain/b.yaml": config_map("b")})
    await stage.handle()
    assert names(stage) == ["ConfigMap shop/b"]
    assert problems(stage) == ["staging/.flux.yaml: too many files"]


async def test_a_failing_command_spoils_its_folder_which_stays_as_it_was() -> None:
    stage = Stage(sync("apps", "staging", "plain", generates=True, interval=0.0))
    stage.renderer.prints["print"] = config_map("a")
    files = {"staging/.flux.yaml": GENERATED, "plain/b.yaml": config_map("b")}
    stage.mirror.push(files)
    await stage.handle()
    stage.renderer.prints.clear()
    stage.mirror.push({**files, "plain/c.yaml": config_map("c")})
    await stage.handle()

    assert names(stage) == ["ConfigMap shop/b", "ConfigMap shop/c", "ConfigMap shop/a"]
    assert problems(stage) == [
        "staging/.flux.yaml: generator 1 (`print`) in staging: ended with 127: not found"
    ]
    assert stage.bus.bundles()[-1].header.problems == 1

    stage.renderer.prints["print"] = config_map("new")  # the program was installed: no commit
    await stage.handle()
    assert names(stage)[2:] == ["ConfigMap shop/new"]
    assert problems(stage) == []


async def test_while_the_renderer_is_gone_all_else_goes_on_and_it_is_asked_again() -> None:
    stage = Stage(sync("apps", "staging", "plain", generates=True), sync("other", "plain"))
    stage.renderer.down = True
    stage.mirror.push({"staging/.flux.yaml": GENERATED, "plain/b.yaml": config_map("b")})
    with pytest.raises(TemporaryError, match="renderer"):
        await stage.handle(HeadQuestion(repository=REPOSITORY))

    assert names(stage) == names(stage, "other") == ["ConfigMap shop/b"]
    assert stage.bus.messages(HeadTold)[0].revision == stage.mirror.head
    assert {one.sync: len(one.problems) for one in stage.bus.messages(StateDeclared)} == {
        "apps": 1,
        "other": 0,
    }

    stage.renderer.down = False
    stage.renderer.prints["print"] = config_map("a")
    await stage.handle()
    assert names(stage) == ["ConfigMap shop/b", "ConfigMap shop/a"]


async def test_every_mistake_of_a_flux_yaml_is_told() -> None:
    stage = Stage(sync("apps", "staging", generates=True))
    stage.mirror.push({"staging/.flux.yaml": "version: 2\nfiles: {}\n"})
    await stage.handle()
    (told,) = problems(stage)
    assert told.startswith("staging/.flux.yaml: ")
    assert "version must be 1" in told
    assert "files is not known" in told


async def test_scan_for_files_takes_the_files_in_spite_of_one_further_up() -> None:
    stage = Stage(sync("apps", "plain", generates=True))
    stage.mirror.push(
        {
            ".flux.yaml": GENERATED,
            "plain/.flux.yaml": "version: 1\nscanForFiles: {}\n",
            "plain/b.yaml": config_map("b"),
        }
    )
    await stage.handle()
    assert names(stage) == ["ConfigMap shop/b"]
    assert stage.renderer.orders == []


async def test_without_leave_nothing_runs_and_that_is_told_once() -> None:
    stage = Stage(sync("apps", "staging"))
    files = {".flux.yaml": GENERATED, "staging/b.yaml": config_map("b")}
    with structlog.testing.capture_logs() as logs:
        for name in ("one", "two"):
            stage.mirror.push({**files, name: ""})
            await stage.handle()

    assert names(stage) == ["ConfigMap shop/b"]
    assert stage.renderer.orders == []
    assert [one["file"] for one in logs if one["event"] == "generators not run"] == [".flux.yaml"]


async def test_a_broken_patch_file_never_leads_back_to_what_is_generated_without_it() -> None:
    stage = Stage(sync("apps", generates=True))
    stage.renderer.prints["print"] = deployment("web")
    stage.mirror.push({".flux.yaml": GENERATED, "patch.yaml": PATCH})
    await stage.handle()
    stage.mirror.push({".flux.yaml": GENERATED, "patch.yaml": f"{PATCH}---\na: ["})
    await stage.handle()

    (web,) = stage.bus.messages(StateDeclared)[-1].workloads
    assert web.containers[0].image == "web:2"
    assert problems(stage) == [
        "patch.yaml: line 6: not valid YAML: did not find expected node content"
    ]

    stage.restart()  # nothing is remembered: then it declares nothing
    await stage.handle()
    assert names(stage) == []
    assert len(problems(stage)) == 1


async def test_encrypted_output_is_a_problem_and_declares_nothing() -> None:
    stage = Stage(sync("apps", generates=True))
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: 'ENC[x]'}\n"
    stage.renderer.prints["print"] = f"{secret}sops: {{mac: 'ENC[x]', version: 3.9.0}}\n"
    stage.mirror.push({".flux.yaml": GENERATED})
    await stage.handle()

    assert names(stage) == []
    (told,) = problems(stage)
    assert told.startswith(".flux.yaml: output of generator 1: it is encrypted by sops")


async def test_what_can_not_be_read_of_the_output_names_its_line() -> None:
    stage = Stage(sync("apps", generates=True))
    stage.renderer.prints["print"] = f"{config_map('a')}---\nkind: ConfigMap\n"
    stage.mirror.push({".flux.yaml": GENERATED, "patch.yaml": PATCH})
    await stage.handle()

    assert names(stage) == ["ConfigMap shop/a"]
    assert problems(stage) == [
        ".flux.yaml: output of generator 1, line 6: apiVersion is missing",
        (
            "patch.yaml: it patches shop:deployment/web, which no generator prints;"
            " remove that document"
        ),
    ]
