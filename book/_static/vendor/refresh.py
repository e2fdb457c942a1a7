"""Check the vendored browser files against their checksums, or fetch them again.

The book loads these files from its own folder, so that a page opened without network shows its
mathematics and its sliders. ``manifest.json`` names for every file the npm package and the path
inside it, and the sha512 it must have. Only the Python standard library is used.

    python book/_static/vendor/refresh.py            # verify; exit code 1 names what differs
    python book/_static/vendor/refresh.py refresh    # fetch with `npm pack`, verify, replace
    python book/_static/vendor/refresh.py refresh --accept   # after a version was changed in
                                                     # manifest.json: take the new checksums

A file whose ``source`` is null is kept by hand (a licence that its package leaves out): it is
verified and never fetched.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

VENDOR_FOLDER = Path(__file__).resolve().parent
MANIFEST_NAME = "manifest.json"
OWN_FILES = frozenset({"refresh.py", MANIFEST_NAME, ".gitattributes"})

Manifest = dict[str, Any]


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest: ``packages`` (name -> version, licence) and ``files``."""
    manifest: Manifest = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
    return manifest


def sha512(content: bytes) -> str:
    """Return the sha512 of `content` as 128 hexadecimal digits."""
    return hashlib.sha512(content).hexdigest()


def problems(folder: Path) -> list[str]:
    """Return one sentence per file that is missing, altered or not in the manifest."""
    files = read_manifest(folder)["files"]
    found = []
    for name, entry in sorted(files.items()):
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif (digest := sha512(path.read_bytes())) != entry["sha512"]:
            found.append(f"{name} has sha512 {digest[:12]}…, expected {entry['sha512'][:12]}…")
    present = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    strangers = sorted(present - set(files) - OWN_FILES)
    return found + [f"{name} is not in {MANIFEST_NAME}" for name in strangers]


def pack(package: str, version: str, into: Path) -> dict[str, bytes]:
    """Return every file of an npm package, path -> content, fetched by `npm pack`."""
    command = ["npm", "pack", "--silent", f"{package}@{version}"]
    try:
        subprocess.run(command, cwd=into, check=True, stdout=subprocess.DEVNULL)
    except FileNotFoundError:
        raise SystemExit("refresh needs the command npm; install Node.js first") from None
    (archive,) = into.glob("*.tgz")
    with tarfile.open(archive) as packed:
        return {
            member.name.removeprefix("package/"): packed.extractfile(member).read()  # type: ignore[union-attr]
            for member in packed
            if member.isfile()
        }


def fetch(manifest: Manifest) -> dict[str, bytes]:
    """Return the fresh content of every vendored file that has a source."""
    fresh = {}
    for package, about in manifest["packages"].items():
        with tempfile.TemporaryDirectory() as folder:
            packed = pack(package, about["version"], Path(folder))
        for name, entry in manifest["files"].items():
            if entry["package"] == package and entry["source"] is not None:
                if entry["source"] not in packed:
                    raise SystemExit(f"{package} {about['version']} has no {entry['source']}")
                fresh[name] = packed[entry["source"]]
    return fresh


def write(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that no half-written file can be seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def refresh(folder: Path, *, accept: bool) -> None:
    """Fetch every file again; a new checksum is an error unless `accept`."""
    manifest = read_manifest(folder)
    fresh = fetch(manifest)
    changed = [
        n for n, content in fresh.items() if sha512(content) != manifest["files"][n]["sha512"]
    ]
    if changed and not accept:
        raise SystemExit(f"the packages hold other content for: {', '.join(changed)}")
    for name, content in fresh.items():
        write(folder / name, content)
        manifest["files"][name]["sha512"] = sha512(content)
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    write(folder / MANIFEST_NAME, text.encode())


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0 when every file is as the manifest says, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("mode", nargs="?", choices=["verify", "refresh"], default="verify")
    parser.add_argument("--accept", action="store_true", help="take new checksums on refresh")
    options = parser.parse_args(arguments)
    if options.mode == "refresh":
        refresh(VENDOR_FOLDER, accept=options.accept)
    found = problems(VENDOR_FOLDER)
    for sentence in found:
        print(sentence, file=sys.stderr)
    if not found:
        print(f"{len(read_manifest(VENDOR_FOLDER)['files'])} vendored files are as they should be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
