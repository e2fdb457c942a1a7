"""Fingerprint of the code behind a function: changes when the computation may change.

The fingerprint of a module covers the module itself and every module of the same package (and of
``seethrough``) that it imports, directly or not, also inside functions. Comments, docstrings and
layout do not count. A package's ``__init__`` counts when a name is imported from it; here such
files hold re-exports. Imports by a computed name (``importlib.import_module``) are not seen.

A process goes on with the code it has loaded, whatever happens to the files. So the text of a
loaded module is remembered when it is first looked at, and looked at again after a reload only:
an artifact made by old code in memory never gets the key of new code on disk.
"""

import ast
import hashlib
import sys
from functools import lru_cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "seethrough"

_loaded: dict[str, tuple[ModuleSpec, str]] = {}
"""Module -> the spec under which it was loaded (a reload makes a new one) and its source."""


_known: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[str, dict[str, object]]] = {}
"""Arguments of `fingerprint` -> its answer, and the state of every module behind it."""


def fingerprint(*modules: str, beside: tuple[str, ...] = ()) -> str:
    """Return the sha256 (64 hexadecimal digits) of the code of `modules` and what they import.

    Modules named in `beside`, and what only they import, are left out.

    Raises:
        ValueError: a module without a Python source file, such as a notebook's ``__main__``.
    """
    known = _known.get((modules, beside))
    if known is not None and all(_state(name) == state for name, state in known[1].items()):
        return known[0]
    _file_now.cache_clear()  # files may have come and gone since
    packages = {PACKAGE} | {name.partition(".")[0] for name in modules}
    sources: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in sources or name in beside:
            continue
        sources[name], imports = read_code(module_source(name))
        for module, imported in imports:
            waiting += _modules_behind(name, module, imported, packages)
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(f"{name}\0{sources[name]}\0".encode())
    _known[modules, beside] = (digest.hexdigest(), {name: _state(name) for name in sources})
    return digest.hexdigest()


def module_source(name: str) -> str:
    """Return the source of a module: as it was when loaded, else as it is on disk.

    Raises ValueError if it has no source file.
    """
    path = _source_file(name)
    if path is None:
        raise ValueError(
            f"module {name!r} has no Python source file: allowed are functions and classes of an "
            "importable module"
        )
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if spec is None:  # not loaded
        return path.read_text("utf-8")
    if name not in _loaded or _loaded[name][0] is not spec:
        _loaded[name] = (spec, path.read_text("utf-8"))
    return _loaded[name][1]


def _state(name: str) -> object:
    """Return what tells whether a module's source may be another: its spec, or its file's date."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    path = None if spec is not None else _source_file(name)
    if path is None:
        return id(spec), spec  # specs of one file are equal: it is another one after a reload
    status = path.stat()
    return path, status.st_mtime_ns, status.st_size


def remember_loaded_modules() -> None:
    """Remember the source of every loaded module of this package that is not remembered yet."""
    for name in list(sys.modules):
        if name.partition(".")[0] == PACKAGE:
            module_source(name)


@lru_cache(maxsize=1024)
def read_code(source: str) -> tuple[str, tuple[tuple[str, tuple[str, ...]], ...]]:
    """Return what counts of a source text, and its imports as (module, names) pairs.

    A relative import keeps its leading dots; ``import a.b`` has no names.
    """
    tree = ast.parse(source)
    imports: list[tuple[str, tuple[str, ...]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            imports.append(("." * node.level + (node.module or ""), names))
        body = getattr(node, "body", None)
        if isinstance(body, list):  # a text that stands alone has no effect: docstrings
            node.body = [entry for entry in body if not _is_text(entry)]  # type: ignore[attr-defined]
    return ast.dump(tree), tuple(imports)


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _modules_behind(
    importer: str, module: str, names: tuple[str, ...], packages: set[str]
) -> list[str]:
    """Return the modules of `packages` that one import statement of `importer` loads names from."""
    module = _absolute(importer, module)
    if module.partition(".")[0] not in packages or _file_now(module) is None:
        return []
    submodules = [f"{module}.{name}" for name in names]
    found = [name for name in submodules if _is_package(module) and _file_now(name) is not None]
    from_itself = not names or len(found) < len(names)
    return [*found, *([module] if from_itself else [])]


def _absolute(importer: str, module: str) -> str:
    dots = len(module) - len(module.lstrip("."))
    if not dots:
        return module
    parents = importer.split(".")
    parents = parents[: len(parents) - dots + _is_package(importer)]
    return ".".join([*parents, *filter(None, [module[dots:]])])


def _is_package(name: str) -> bool:
    path = _file_now(name)
    return path is not None and path.name == "__init__.py"


def _source_file(name: str) -> Path | None:
    """Return the file of a module without importing it or its parents; None if there is none."""
    top, *rest = name.split(".")
    try:
        spec = find_spec(top)
    except ValueError:  # __main__
        return None
    for location in (spec and spec.submodule_search_locations) or ():
        base = Path(location, *rest)
        for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if path.is_file() and (rest or path.name == "__init__.py"):
                return path
    origin = (spec and spec.origin) or ""
    return Path(origin) if not rest and origin.endswith(".py") else None


_file_now = lru_cache(maxsize=4096)(_source_file)
"""`_source_file` as it was when the fingerprint that is being taken was begun."""
