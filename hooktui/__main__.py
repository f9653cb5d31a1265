"""Where the `hooktui` command begins; ``python -m hooktui`` is the same."""

from __future__ import annotations

import sys

_INTERRUPTED = 130
"""As `hooktui.cli.exit_codes` has it, which is not imported yet."""


def main() -> int:
    """Run the command line; ctrl+c while its modules are imported leaves no traceback, too."""
    try:
        from hooktui.cli.main import main

        return main()
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
