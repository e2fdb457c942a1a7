"""``python -m seethrough`` is the command ``seethrough``."""

from seethrough.cli import main

main()
