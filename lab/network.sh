# Sourced by lab/up and others: the network that the nodes are on.
# shellcheck shell=bash

# other_use_of SUBNET: a route of this machine, or another network of podman, that overlaps it, if any.
# Every address of an interface has a route too, in the table `local`. A network of podman of which no container runs has none. The networks
# are asked for at once: another lab's may be removed meanwhile, and an inspection of each would miss it.
other_use_of() {
  { ip -j -4 route show table all && podman network ls --format json; } | python3 -c '
import ipaddress, json, sys
wanted, own = ipaddress.ip_network(sys.argv[1]), sys.argv[2]
text, decoder = sys.stdin.read(), json.JSONDecoder()
routes, end = decoder.raw_decode(text)
networks = json.loads(text[end:])
bridges = [each.get("network_interface") for each in networks if each["name"] == own]
used = [
    (route["dst"], "on " + route.get("dev", "?"))
    for route in routes
    if route["dst"] != "default" and route.get("dev") not in bridges and route.get("type") not in ("broadcast", "multicast")
]
used += [
    (subnet["subnet"], "of the podman network " + each["name"])
    for each in networks
    if each["name"] != own
    for subnet in each.get("subnets") or ()
]
for target, where in used:
    network = ipaddress.ip_network(target, strict=False)
    if network.version == 4 and network.overlaps(wanted):
        print(target, where)
        break
' "$1" "$NETWORK"
}

# choose_subnet: where nobody asked for a network, and another lab or the network around this machine has the usual one, the next free is taken.
choose_subnet() {
  local other found number
  [ -z "$ASKED_SUBNET" ] || return 0
  if found=$(subnet_of_network); then
    on_subnet "$found"
    return
  fi
  other=$(other_use_of "$SUBNET")
  [ -n "$other" ] || return 0
  for number in {99..250}; do
    [ -z "$(other_use_of "10.$number.0.0/24")" ] || continue
    say "==> lab: $SUBNET is already in use on this machine ($other); the lab takes 10.$number.0.0/24"
    on_subnet "10.$number.0.0/24"
    return
  done
}

# subnet_of_network: that of the lab's network, where there is one.
subnet_of_network() {
  podman network inspect "$NETWORK" --format '{{range .Subnets}}{{.Subnet}}{{end}}' 2>/dev/null
}

# describe_network: its interface, subnet and gateway.
describe_network() {
  podman network inspect "$NETWORK" --format '{{.NetworkInterface}} {{range .Subnets}}{{.Subnet}} {{.Gateway}}{{end}}' 2>/dev/null
}

make_network() {
  local found other
  other=$(other_use_of "$SUBNET")
  [ -z "$other" ] || fail "$SUBNET is already in use on this machine ($other); choose another network for the lab, for example: LAB_SUBNET=10.99.0.0/24 lab/up"
  if found=$(subnet_of_network); then
    [ "$found" = "$SUBNET" ] || fail "the lab exists on $found and $SUBNET was asked for; lab/reset makes it anew there, LAB_SUBNET=$found keeps it"
  else
    podman network create --subnet "$SUBNET" --gateway "$PREFIX.1" --internal --disable-dns "$NETWORK" >/dev/null
  fi
}
