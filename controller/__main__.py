"""python -m controller: everything the TUI does, without one."""

import sys

from controller.cli import main

if __name__ == "__main__":
    sys.exit(main())
