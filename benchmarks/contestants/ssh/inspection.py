"""Writes, for each node of a stack, the scripts that our product sends to read it, as one: inspection.py RESOURCES FOLDER.

RESOURCES is the JSON list of the stack's resources. It runs in the product's own environment.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

from nova_infra import node
from nova_infra.remote.script import compose
from nova_infra.resources import node_packages

resources = json.loads(Path(sys.argv[1]).read_text())
folder = Path(sys.argv[2])
calls = defaultdict(list)
addresses = {}
for resource in resources:
    state = resource.get("outputs", {})
    kind = resource["type"].rpartition(":")[2]
    if kind == "NodePackages":
        question = node_packages._question(state)
    elif kind in ("ControllerNode", "ComputeNode"):
        question = node.question(state)
    else:
        continue
    calls[state["node"]] += question.calls()
    addresses[state["node"]] = state["connection"]["host"]
folder.mkdir(parents=True, exist_ok=True)
for name, questions in calls.items():
    source = compose(questions).source
    (folder / f"{name}.input").write_bytes(source)
    (folder / f"{name}.command").write_text(f"""sudo -n sh -c 'eval "$(head -c {len(source)})"'""")
(folder / "nodes").write_text("".join(f"{name} {address}\n" for name, address in addresses.items()))
