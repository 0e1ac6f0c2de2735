"""`python -m nexusql`, the same as the command `nexusql`."""

import sys

from nexusql.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
