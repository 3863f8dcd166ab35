"""PID 1 of the pod: `python3 -I -S /rkt/lib/stage2/__main__.py`."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from stage2 import init  # late: its parent is on the path only now

os._exit(init.main())  # nothing is left to tidy up, and the interpreter's own end takes 3 ms
