"""`python3 -m ops`, in the server's folder."""

import sys

from ops.cli.main import main

sys.exit(main(sys.argv[1:]))
