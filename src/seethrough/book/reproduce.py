"""The directive that ends every page: where its numbers come from and how to get them again.

    :::{reproduce}
    ---
    notebook: notebooks/collapse_dead_neurons.ipynb
    modules: src/seethrough/metrics/dead_units.py, src/seethrough/models/vae.py
    tests: tests/metrics/test_dead_units.py
    command: seethrough run collapse_dead_neurons
    change: >
      What would change my mind, over as many lines as it needs.
    ---
    :::

Only the command must be given. Paths count from the book's root and are separated by commas,
spaces or line ends. The files are copied into the site, so the links work from a folder without
network. A path that does not exist is a warning, on which the strict build fails.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from seethrough.book.result_role import ERROR_CLASS

BOX_CLASS = "reproduce"
"""Class of the box; the gates demand one in every page."""

logger = logging.getLogger(__name__)


def paths_in(text: str) -> list[str]:
    """Return the paths of a list separated by commas, spaces or line ends, in order."""
    return [path for path in re.split(r"[,\s]+", text) if path]


class Reproduce(SphinxDirective):
    """Render the box with links to notebook, modules and tests, and the command."""

    option_spec: ClassVar[dict[str, Callable[[str], str]]] = {
        "notebook": directives.unchanged_required,
        "modules": directives.unchanged_required,
        "tests": directives.unchanged_required,
        "command": directives.unchanged_required,
        "change": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return the box, preceded by "What would change my mind" when that is given."""
        if "command" not in self.options:
            raise self.error("reproduce needs the option command")
        box = nodes.container(classes=[BOX_CLASS])
        if "change" in self.options:
            box += nodes.rubric("", "What would change my mind")
            box += self.parse_text_to_nodes(self.options["change"])
        box += nodes.rubric("", "Reproduce this page")
        box += self.file_list()
        command = nodes.literal_block(self.options["command"], self.options["command"])
        command["language"] = "bash"
        box += command
        return [box]

    def file_list(self) -> list[nodes.Node]:
        """Return a bullet list with one entry per option that names files; none gives no list."""
        entries = []
        for option, label in (("notebook", "Notebook"), ("modules", "Code"), ("tests", "Tests")):
            paths = paths_in(self.options.get(option, ""))
            if paths:
                entry = nodes.paragraph("", "", nodes.strong("", label), nodes.Text(": "))
                for position, path in enumerate(paths):
                    entry += nodes.Text(", " if position else "")
                    entry += self.file_link(path)
                entries.append(nodes.list_item("", entry))
        return [nodes.bullet_list("", *entries)] if entries else []

    def file_link(self, path: str) -> nodes.Node:
        """Return a link to a copy of the file in the site, or a mark beside a warning."""
        if not (Path(self.env.srcdir) / path).is_file():
            logger.warning("reproduce: there is no file %s", path, location=self.get_location())
            return nodes.inline("", f"[no file: {path}]", classes=[ERROR_CLASS])
        # A leading slash counts from the book's root.
        return addnodes.download_reference("", "", nodes.literal("", path), reftarget=f"/{path}")
