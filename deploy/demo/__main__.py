"""`python -m deploy.demo`."""

import sys

from deploy.demo.start import main

if __name__ == "__main__":
    sys.exit(main())
