"""Kernels that are forks: what they begin with, what they do not share, and how they end."""

import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")

PROGRAM = """
import sys
from pathlib import Path
from seethrough.book import forked_kernels
from seethrough.book.execute import run_notebook

notebooks = [Path(name) for name in sys.argv[2:]]
if sys.argv[1] == "forked":
    forked_kernels.start(notebooks)
elif sys.argv[1] == "nobody":
    import os
    os.environ[forked_kernels.ADDRESS_VARIABLE] = "nobody/socket"
for path in notebooks:
    cells = run_notebook(path, {"threads": 3}).cells
    for output in (one for cell in cells for one in cell.get("outputs", [])):
        print(output.get("text") or sorted(output.data), end="", flush=True)
"""


def write(path: Path, *sources: str) -> str:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    spec = {"name": "python3", "display_name": "x", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)
    return str(path)


def start(folder: Path, how: str, *notebooks: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how, *notebooks],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, how: str, *notebooks: str) -> tuple[int, str, str]:
    process = start(folder, how, *notebooks)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 30
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("how", "begins_with_it"), [("forked", True), ("plain", False), ("nobody", False)]
)
def test_what_notebooks_import_is_there_at_the_start(
    tmp_path: Path, how: str, begins_with_it: bool
) -> None:
    late = "if False:\n    import colorsys\n    from xml import dom"
    first = "import sys; print('colorsys' in sys.modules, 'xml.dom' in sys.modules)"
    code, out, err = run(tmp_path, how, write(tmp_path / "a.ipynb", first, late))
    assert code == 0, err
    assert out == f"{begins_with_it} {begins_with_it}\n"


def test_an_import_that_fails_is_the_notebooks_own_error(tmp_path: Path) -> None:
    bad = "%time 1\n", "import no_such_module"
    code, out, err = run(tmp_path, "forked", write(tmp_path / "a.ipynb", *bad))
    assert code == 1
    assert "ModuleNotFoundError: No module named 'no_such_module'" in err


def test_kernels_share_no_state(tmp_path: Path) -> None:
    change = "import colorsys, os; colorsys.mark = 1; os.environ['MARK'] = '1'; print(os.getcwd())"
    look = (
        "import colorsys, os\n"
        "print(hasattr(colorsys, 'mark'), 'MARK' in os.environ, os.getsid(0) == os.getpid())"
    )
    names = write(tmp_path / "a.ipynb", change), write(tmp_path / "b.ipynb", look)
    code, out, err = run(tmp_path, "forked", *names)
    assert code == 0, err
    assert out == f"{tmp_path}\nFalse False True\n"


def test_a_kernel_has_the_threads_that_it_is_given(tmp_path: Path) -> None:
    source = "import os, torch; print(os.environ['OMP_NUM_THREADS'], torch.get_num_threads())"
    code, out, err = run(tmp_path, "forked", write(tmp_path / "a.ipynb", source))
    assert code == 0, err
    assert out == "3 3\n"


def test_figures_are_shown(tmp_path: Path) -> None:
    source = "import matplotlib.pyplot as plt; _ = plt.plot([1, 2])"
    code, out, err = run(tmp_path, "forked", write(tmp_path / "a.ipynb", source))
    assert code == 0, err
    assert out == "['image/png', 'text/plain']"


def test_a_module_changed_since_keeps_the_fingerprint_of_what_is_loaded(tmp_path: Path) -> None:
    sources = (
        "from seethrough import canonical\nfrom seethrough.fingerprint import module_source",
        "from pathlib import Path\n"
        "from unittest import mock\n"
        "with mock.patch.object(Path, 'read_text', side_effect=AssertionError):\n"
        "    print(len(module_source('seethrough.canonical')) > 0)",
    )
    code, out, err = run(tmp_path, "forked", write(tmp_path / "a.ipynb", *sources))
    assert code == 0, err
    assert out == "True\n"


def test_a_kernel_that_dies_is_noticed(tmp_path: Path) -> None:
    source = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    code, _, err = run(tmp_path, "forked", write(tmp_path / "a.ipynb", source))
    assert code == 1
    assert "DeadKernelError" in err


def test_who_is_killed_takes_kernel_and_server_with_it(tmp_path: Path) -> None:
    source = (
        "import os, time; from pathlib import Path\n"
        "Path('new').write_text(f'{os.getpid()} {os.getppid()}'); Path('new').rename('pids')\n"
        "time.sleep(300)"
    )
    process = start(tmp_path, "forked", write(tmp_path / "a.ipynb", source))
    deadline = time.monotonic() + 60
    while not (tmp_path / "pids").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    kernel, server = map(int, (tmp_path / "pids").read_text().split())
    assert is_alive(kernel)
    assert is_alive(server)
    process.kill()
    process.communicate()
    wait_for_end(server)
    wait_for_end(kernel)


def test_an_interrupt_reaches_the_kernel(tmp_path: Path) -> None:
    source = (
        "import os, signal, time; from ipykernel import get_connection_file\n"
        "for name in os.listdir('/proc'):\n"
        "    if name.isdigit() and name != str(os.getpid()):\n"
        "        command = open(f'/proc/{name}/cmdline').read().split('\\0')\n"
        "        if get_connection_file() in command:\n"
        "            client = int(name)\n"
        "try:\n"
        "    os.kill(client, signal.SIGINT); time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')"
    )
    code, out, err = run(tmp_path, "forked", write(tmp_path / "a.ipynb", source))
    assert code == 0, err
    assert out == "interrupted\n"
