"""The version of rkt, and of the App Container specification that it follows."""
from __future__ import annotations

VERSION = "2.0.0"
APPC_VERSION = "0.8.11"
