"""What the readers of published files share: their error and the checks on a file as a whole."""

import sys
from pathlib import Path
from typing import Protocol, runtime_checkable

from tqdm import tqdm

HASH_BLOCK_BYTES = 1 << 20
INSTEAD = "without a path the images are re-rendered, which needs no file"
"""What a user can do who has no published file."""


class OfficialFileError(ValueError):
    """A published file that failed a check; the message is one sentence saying which."""


@runtime_checkable
class Digest(Protocol):
    """A checksum being computed, as hashlib makes them."""

    def update(self, data: bytes, /) -> None:
        """Take in the next bytes."""

    def hexdigest(self) -> str:
        """Return the checksum of all bytes so far, in hexadecimal digits."""


def require_file(path: Path, published: str) -> None:
    """Raise OfficialFileError unless `path` is a file; `published` says which one it should be."""
    if not path.is_file():
        raise OfficialFileError(
            f"{path} does not exist or is not a file: expected {published}; {INSTEAD}."
        )


def require_checksum(path: Path, found: str, expected: str, kind: str, published: str) -> None:
    """Raise OfficialFileError unless the checksums agree; `kind` names how they were computed."""
    if found != expected:
        raise OfficialFileError(
            f"{path} has the checksum {found} ({kind}), expected {expected}: "
            f"it is not {published}, byte for byte; {INSTEAD}."
        )


def file_checksum(path: Path, digest: Digest) -> str:
    """Return the checksum of a file's content, read in blocks, in hexadecimal digits.

    `digest` may have taken in bytes before the content. A progress bar goes to standard error when
    that is a terminal.
    """
    with (
        path.open("rb") as file,
        tqdm(
            total=path.stat().st_size,
            desc="checksum",
            unit="B",
            unit_scale=True,
            file=sys.stderr,
            disable=None,
        ) as bar,
    ):
        while block := file.read(HASH_BLOCK_BYTES):
            digest.update(block)
            bar.update(len(block))
    return digest.hexdigest()
