"""sops is asked with the keys that it needs and nothing else, and what it says is no leak."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cluster_applier.domain.recipients import recipients
from services.cluster_applier.sops import Sops
from shared.config.target import Decryption
from shared.runtime.errors import PermanentError, TemporaryError

FILE = b"""\
kind: Secret
sops:
  age: [{recipient: age1abc, enc: x}]
  pgp: [{fp: ABCDEF}]
  mac: x
"""
IN_THE_CLOUD = FILE + b"  kms: [{arn: 'arn:aws:kms:eu:1:key/2'}]\n"


Program = Callable[[str], object]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Takes Python code; it is run as what is found as sops."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sops").write_text(f'#!/bin/sh\nexec {sys.executable} -I {folder}/code "$@"\n')
    (folder / "sops").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return (folder / "code").write_text


def decryption(tmp_path: Path, **values: object) -> Decryption:
    key = tmp_path / "age.key"
    key.write_text("AGE-SECRET-KEY-1CANARY\n")
    return Decryption.model_validate({"age": {"file": key}, **values})


def failing(code: int, said: str) -> str:
    return f"import sys; sys.stderr.write({said!r}); sys.exit({code})"


def is_over(pid: str) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


async def test_it_gets_the_file_its_keys_and_what_clouds_need(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMQP_URL", "amqp://user:password@host/")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    program(
        "import json, os, sys; print(json.dumps([dict(os.environ), sys.argv, sys.stdin.read()]))"
    )
    found = json.loads(await Sops(decryption(tmp_path))(FILE))
    environment, argv, text = found
    assert environment["SOPS_AGE_KEY"] == "AGE-SECRET-KEY-1CANARY"
    assert environment["AWS_REGION"] == "eu-central-1"
    assert "AMQP_URL" not in environment
    assert not any("CANARY" in one for one in argv)
    assert text == FILE.decode()


@pytest.mark.parametrize("code", [1, 25, 51])
async def test_what_it_says_of_a_bad_file_is_not_told(
    program: Program, tmp_path: Path, code: int
) -> None:
    program(failing(code, "MAC mismatch, computed hunter2"))
    with pytest.raises(PermanentError) as caught:
        await Sops(decryption(tmp_path))(FILE)
    assert "hunter2" not in str(caught.value)


async def test_what_it_says_of_a_missing_key_is_told_without_keys(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "hvs.canary")
    said = "AGE-SECRET-KEY-1CANARY and hvs.canary are denied\n[SOPS] time=1 level=error\n"
    program(failing(128, said))
    with pytest.raises(
        PermanentError, match=r"encrypted to age1abc, ABCDEF: .* are denied$"
    ) as caught:
        await Sops(decryption(tmp_path))(FILE)
    assert "CANARY" not in str(caught.value)
    assert "hvs" not in str(caught.value)


async def test_a_cloud_that_is_asked_may_answer_later(program: Program, tmp_path: Path) -> None:
    request = "RequestID: 01234567-89ab-cdef-0123-456789abcdef"
    program(failing(128, f"not reached, {request}\n"))
    with pytest.raises(TemporaryError, match=r"arn:aws:kms:.* not reached, RequestID: \.\.\.$"):
        await Sops(decryption(tmp_path))(IN_THE_CLOUD)


async def test_one_that_hangs_is_ended_with_all_that_it_started(
    program: Program, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    program(
        "import os, subprocess, time; child = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}'); time.sleep(60)"
    )
    with pytest.raises(TemporaryError, match=r"no answer within 1\.5 s"):
        await Sops(decryption(tmp_path, timeout="1500ms"))(FILE)
    assert all(map(is_over, pids.read_text().split()))


async def test_a_flood_is_cut_off(program: Program, tmp_path: Path) -> None:
    program("for _ in range(40): print('x' * 1_000_000)")
    assert len(await Sops(decryption(tmp_path))(FILE)) < 17_000_000


async def test_a_key_that_is_not_there_may_come(program: Program, tmp_path: Path) -> None:
    program("")
    settings = decryption(tmp_path)
    (tmp_path / "age.key").unlink()
    with pytest.raises(TemporaryError, match=r"decryption key: secret file .*: No such file"):
        await Sops(settings)(FILE)


@pytest.mark.parametrize("data", [b"\xff", b"[", b"sops: 1", b"sops: {age: 1, key_groups: [1]}"])
def test_what_is_no_such_file_is_encrypted_to_nobody(data: bytes) -> None:
    assert str(recipients(data)) == "nobody"


def test_many_recipients_are_counted() -> None:
    keys = ", ".join(f"{{recipient: age{number}}}" for number in range(7))
    data = f"sops: {{key_groups: [{{age: [{keys}]}}]}}".encode()
    assert str(recipients(data)) == "age0, age1, age2, age3, age4 and 2 more"
