# The one executor: every notebook of notebooks/ at the scale of a profile, then the site.
# Usually started by `make book`, which also keeps two builds apart.
import sys
from pathlib import Path

from seethrough.book.runs import notebook_runs

PROFILE = config.get("profile", "quick")
RUNS = notebook_runs(PROFILE)


def files(*patterns):
    return sorted(str(path) for pattern in patterns for path in Path().glob(pattern) if path.is_file())


PAGE_CODE = files("src/seethrough/book/*.py", "src/seethrough/claims/*.py")
NOTEBOOK_CODE = set(files("src/seethrough/**/*.py", "src/seethrough/**/*.mplstyle")) - set(PAGE_CODE)
EXECUTOR_MODULES = ("execute", "executed_notebook", "forked_kernels")
EXECUTOR = [f"src/seethrough/book/{name}.py" for name in EXECUTOR_MODULES]
REFERENCE = files("results/reference/**/*.json", "results/benchmarks/*.json")
EXECUTED = [f"book/executed/{stem}.ipynb" for stem in RUNS]
RESULTS = [f"book/executed/results/{stem}.json" for stem in RUNS]


rule all:
    input:
        "_build/html/.complete",
        EXECUTED,
        RESULTS,


rule notebook:
    input:
        "notebooks/{stem}.ipynb",
        "constraints.txt",
        sorted(NOTEBOOK_CODE),
        EXECUTOR,
        REFERENCE,
    output:
        notebook="book/executed/{stem}.ipynb",
        result="book/executed/results/{stem}.json",
    params:
        python=sys.executable,
        parameters=lambda wildcards: RUNS[wildcards.stem].parameters,  # other values: run again
    wildcard_constraints:
        stem="|".join(RUNS),
    threads: lambda wildcards: RUNS[wildcards.stem].threads
    resources:
        gpu=lambda wildcards: RUNS[wildcards.stem].gpus,
    shell:
        "{params.python:q} -m seethrough.book.execute {wildcards.stem:q} "
        "--profile {PROFILE:q} --out {output.notebook:q} --result {output.result:q}"


rule site:
    input:
        EXECUTED,
        RESULTS,
        REFERENCE,
        PAGE_CODE,
        files("src/seethrough/**/*.py"),
        files("notebooks/*.ipynb", "tests/**/*.py"),  # copied into the site
        files("book/**/*.md", "book/*.yml", "book/*.bib", "book/_static/**/*"),
        "constraints.txt",
        "_config.yml",
        "_toc.yml",
    output:
        "_build/html/.complete",
    params:
        python=sys.executable,
        pages=files("book/**/*.md"),
    shell:
        "{params.python:q} -m seethrough.book.site _build/html"
