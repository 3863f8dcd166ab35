"""The versions of rkt and of the App Container specification it follows."""
from __future__ import annotations

RKT = "2.0.0"
APPC = "0.8.11"
