"""The lab's stack settings for other nodes than the default ones: stack-settings.py SETTINGS FOLDER [NAME ADDRESS]...

Prints the committed settings with the nodes named on the command line, and with the keys that are in FOLDER; secrets and everything else
stay as they are.
"""

import sys

import yaml

path, folder, *rest = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    settings = yaml.safe_load(file)
nodes = [{"name": name, "address": address} for name, address in zip(rest[::2], rest[1::2], strict=True)]
config = settings["config"]
config["nova:controllers"] = [node for node in nodes if node["name"] == "controller"]
config["nova:computes"] = [node for node in nodes if node["name"] != "controller"]
for name, file in (("private_key_file", "id_ed25519"), ("known_hosts_file", "known_hosts")):
    config["nova:ssh"][name] = f"{folder}/{file}"
print(
    "# Made by lab/up from stacks/Pulumi.lab.yaml, because LAB_STATE, LAB_SUBNET, LAB_COMPUTES or LAB_LIGHT is not the default."
)
print(yaml.safe_dump(settings, sort_keys=False), end="")
