"""Where the benchmarks keep things. They have a lab of their own beside the one that may be there: name, network, folder."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTESTANTS = ROOT / "benchmarks" / "contestants"
RESULTS = Path(os.environ.get("BENCH_RESULTS", ROOT / "docs" / "benchmarks"))
PAGE = RESULTS.with_suffix(".md")
STATE = ROOT / ".lab-bench"
LOGS = STATE / "logs"
LAB_NAME = os.environ.get("BENCH_LAB_NAME", "nova-bench")
SUBNET = os.environ.get("BENCH_SUBNET", "10.0.7.0/24")
KEY = STATE / "id_ed25519"
KNOWN_HOSTS = STATE / "known_hosts"
USER = "ubuntu"
