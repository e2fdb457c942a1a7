import importlib.util
import io
import json
import subprocess
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

VENDOR = Path(__file__).parents[2] / "book" / "_static" / "vendor"


@pytest.fixture
def refresh() -> ModuleType:
    spec = importlib.util.spec_from_file_location("refresh", VENDOR / "refresh.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path, refresh: ModuleType) -> Path:
    """A vendor folder with one fetched and one kept file."""
    files = {
        "a/a.js": {"package": "a", "source": "dist/a.js", "sha512": refresh.sha512(b"old")},
        "a/LICENSE": {"package": "a", "source": None, "sha512": refresh.sha512(b"MIT")},
    }
    packages = {"a": {"version": "1.0.0", "licence": "MIT"}}
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.js").write_bytes(b"old")
    (tmp_path / "a" / "LICENSE").write_bytes(b"MIT")
    manifest = json.dumps({"packages": packages, "files": files})
    (tmp_path / "manifest.json").write_text(manifest, encoding="utf-8")
    return tmp_path


def packed(monkeypatch: pytest.MonkeyPatch, **contents: bytes) -> list[list[str]]:
    """Replace npm by something that writes an archive; return the commands it was given."""
    commands = []

    def run(command: list[str], cwd: Path, **_: Any) -> None:
        commands.append(command)
        with tarfile.open(cwd / "a-1.0.0.tgz", "w:gz") as archive:
            for name, content in contents.items():
                member = tarfile.TarInfo(f"package/dist/{name}.js")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_the_vendored_files_are_as_their_manifest_says(refresh: ModuleType) -> None:
    assert refresh.problems(VENDOR) == []


def test_every_package_has_a_version_and_its_licence_beside_it(refresh: ModuleType) -> None:
    manifest = refresh.read_manifest(VENDOR)
    versions = {name: about["version"] for name, about in manifest["packages"].items()}
    assert versions == {
        "mathjax": "3.2.2",
        "requirejs": "2.3.7",
        "@jupyter-widgets/html-manager": "1.0.14",
    }
    for name in ("mathjax", "requirejs", "html-manager"):
        assert f"{name}/LICENSE" in manifest["files"]


def test_a_missing_an_altered_and_a_stray_file_are_named(folder: Path, refresh: ModuleType) -> None:
    assert refresh.problems(folder) == []
    (folder / "a" / "a.js").write_bytes(b"tampered")
    (folder / "a" / "LICENSE").unlink()
    (folder / "b.js").touch()
    missing, altered, stray = refresh.problems(folder)
    assert missing == "a/LICENSE is missing"
    assert altered.startswith("a/a.js has sha512 ")
    assert stray == "b.js is not in manifest.json"


def test_refresh_restores_an_altered_file(
    folder: Path, refresh: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = packed(monkeypatch, a=b"old")
    (folder / "a" / "a.js").write_bytes(b"tampered")
    refresh.refresh(folder, accept=False)
    assert commands == [["npm", "pack", "--silent", "a@1.0.0"]]
    assert refresh.problems(folder) == []


def test_refresh_refuses_other_content_unless_accepted(
    folder: Path, refresh: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(monkeypatch, a=b"new")
    with pytest.raises(SystemExit, match="other content for: a/a.js"):
        refresh.refresh(folder, accept=False)
    assert (folder / "a" / "a.js").read_bytes() == b"old"
    refresh.refresh(folder, accept=True)
    assert (folder / "a" / "a.js").read_bytes() == b"new"
    assert refresh.problems(folder) == []


def test_refresh_says_what_a_package_lacks(
    folder: Path, refresh: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(monkeypatch, b=b"old")
    with pytest.raises(SystemExit, match=r"a 1.0.0 has no dist/a.js"):
        refresh.refresh(folder, accept=False)


def test_refresh_says_that_npm_is_missing(
    folder: Path, refresh: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(SystemExit, match="needs the command npm"):
        refresh.refresh(folder, accept=False)


def test_main_verifies(refresh: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert refresh.main([]) == 0
    assert "vendored files are as they should be" in capsys.readouterr().out


def test_main_fails_on_a_fault(
    folder: Path,
    refresh: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(refresh, "VENDOR_FOLDER", folder)
    (folder / "a" / "LICENSE").unlink()
    assert refresh.main(["verify"]) == 1
    assert capsys.readouterr().err == "a/LICENSE is missing\n"
