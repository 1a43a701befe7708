"""``python -m striate``: the command line."""

from .cli import main

raise SystemExit(main())
