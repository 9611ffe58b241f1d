"""``python -m kpcore`` is ``kp``."""

from kpcore.cli import main

if __name__ == "__main__":
    main()
