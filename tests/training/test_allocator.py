import subprocess
import sys

import pytest

from seethrough.training import allocator
from seethrough.training.allocator import keep_freed_memory

FAULTS = """
import resource
from seethrough.training.allocator import keep_freed_memory

def faults():
    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        b"x" * (64 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start

before = faults()
assert keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc runs on Linux alone")
def test_a_freed_block_is_used_again_without_fresh_pages() -> None:
    """Ten blocks of 64 MiB, one after the other: 10 x 32 pages at the very least, then none."""
    if not keep_freed_memory():
        pytest.skip("the C library is not glibc")
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    assert before >= 320
    assert after < before / 20


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.sys, "platform", "darwin")
    assert keep_freed_memory() is False


def test_a_c_library_without_mallopt_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.sys, "platform", "linux")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert keep_freed_memory() is False


@pytest.mark.parametrize("answers", [(0, 1), (1, 0)])
def test_a_refusal_is_reported(answers: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        given = iter(answers)

        def mallopt(self, option: int, value: int) -> int:
            return next(self.given)

    monkeypatch.setattr(allocator.sys, "platform", "linux")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: Library())
    assert keep_freed_memory() is False
