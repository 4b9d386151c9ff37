# Sourced by every script of the lab: where things are, which nodes there are, how a script speaks.
# Sets ROOT, LAB (this folder), STATE (.lab), CACHE, NETWORK, ASKED_SUBNET, SUBNET, PREFIX, COMPUTES, NODES, LIGHT, LIGHT_NODES, REPO; reads LAB_NAME, LAB_SUBNET,
# LAB_COMPUTES, LAB_LIGHT, LAB_REPO. lab/up also reads LAB_FROM.
# shellcheck shell=bash
set -euo pipefail

LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$LAB")
STATE=${LAB_STATE:-$ROOT/.lab}
CACHE=${NOVA_INFRA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nova-infra}/lab
SCRIPT=lab/$(basename "$0")

say() { printf '%s\n' "$*"; }

# fail SENTENCE...: what failed, where, and what to do; then the end.
fail() {
  printf '%s: %s\n' "$SCRIPT" "$*" >&2
  exit 1
}

# step WHAT COMMAND...: runs the command with its output in a log, and says how long it took.
step() {
  local what=$1 log status=0 began=$SECONDS
  shift
  mkdir -p "$CACHE/logs"
  log=$CACHE/logs/$(printf '%s' "$what" | tr -c 'A-Za-z0-9\n' '-').log
  say "==> lab: $what"
  # Not in an `if`: bash would then ignore `set -e` inside the command.
  set +e
  (set -e; "$@") >"$log" 2>&1 </dev/null
  status=$?
  set -e
  if [ "$status" != 0 ]; then
    tail -n 15 "$log" >&2
    fail "$what failed with status $status; the last lines it printed are above, all of them in $log. Run the command again once the cause is gone: what was done stays done."
  fi
  say "    done in $((SECONDS - began)) s"
}

# key PATH|TEXT...: twelve characters that change when one of the files, or one of the texts, changes.
key() {
  local item
  for item in "$@"; do
    if [ -d "$item" ]; then
      (cd "$item" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
    elif [ -f "$item" ]; then
      sha256sum <"$item"
    else
      printf '%s\n' "$item"
    fi
  done | sha256sum | cut -c1-12
}

need_root() {
  [ "$(id -u)" = 0 ] || fail "the lab needs root, because its nodes have a network and users of their own; run it with sudo"
}

# remembered NAME: the value of NAME that the running lab was started with, or nothing.
remembered() {
  [ ! -f "$STATE/env" ] || sed -n "s/^$1=//p" "$STATE/env"
}

# forget_stack: Pulumi's state of the stack `lab` goes. Another stack of this project in that folder stays, and THROWAWAY, which would have its
# program refused, goes.
forget_stack() {
  local file name kept=()
  for file in "$STATE"/pulumi/.pulumi/stacks/nova/*.json "$STATE"/pulumi/.pulumi/stacks/nova/*.json.gz; do
    name=$(basename "${file%.gz}" .json)
    [ ! -f "$file" ] || [ "$name" = lab ] || kept+=("$name")
  done
  if [ ${#kept[@]} = 0 ]; then
    rm -rf "$STATE/pulumi"
    return
  fi
  say "==> lab: $STATE/pulumi stays, because it is also the state of ${kept[*]}; what is in it of the stack lab goes"
  rm -f "$STATE/pulumi/THROWAWAY"
  find "$STATE/pulumi/.pulumi" -depth \( -path '*/nova/lab' -o -path '*/nova/lab.json*' \) -exec rm -rf {} +
}

# on_subnet A.B.C.0/24: the lab's network. Sets SUBNET and PREFIX.
on_subnet() {
  local part
  [[ $1 =~ ^([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})\.0/24$ ]] ||
    fail "LAB_SUBNET is '$1'; it must be a network of the form A.B.C.0/24, such as 10.99.0.0/24"
  SUBNET=$1 PREFIX=${BASH_REMATCH[1]}
  for part in ${PREFIX//./ }; do
    [ "$((10#$part))" -le 255 ] || fail "LAB_SUBNET is '$1'; no part of an address is above 255"
  done
}

# What the containers' names begin with: labs of other names, on other networks, live side by side.
NETWORK=${LAB_NAME:-$(remembered LAB_NAME)}
NETWORK=${NETWORK:-nova-lab}
DEFAULT_SUBNET=10.0.0.0/24
DEFAULT_COMPUTES=1
ASKED_SUBNET=${LAB_SUBNET:-$(remembered LAB_SUBNET)}
on_subnet "${ASKED_SUBNET:-$DEFAULT_SUBNET}"
COMPUTES=${LAB_COMPUTES:-$(remembered LAB_COMPUTES)}
COMPUTES=${COMPUTES:-$DEFAULT_COMPUTES}
LIGHT=${LAB_LIGHT:-$(remembered LAB_LIGHT)}
LIGHT=${LIGHT:-0}
REPO=${LAB_REPO-$(remembered LAB_REPO)}

[[ $NETWORK =~ ^[a-z][a-z0-9-]{0,30}$ ]] ||
  fail "LAB_NAME is '$NETWORK'; it must be small letters, digits and hyphens, such as nova-lab-2"
[[ $COMPUTES =~ ^[1-9][0-9]?$ ]] && [ "$COMPUTES" -le 60 ] ||
  fail "LAB_COMPUTES is '$COMPUTES'; it must be a number from 1 to 60"
[[ $LIGHT =~ ^(0|[1-9][0-9]{0,2})$ ]] && [ "$LIGHT" -le 150 ] ||
  fail "LAB_LIGHT is '$LIGHT'; it must be a number from 0 to 150"

NODES=(controller)
for ((number = 1; number <= COMPUTES; number++)); do NODES+=("compute$number"); done
# Light nodes (light/): what looks at every node one after the other leaves them out.
LIGHT_NODES=()
for ((number = 1; number <= LIGHT; number++)); do LIGHT_NODES+=("$(printf 'light%03d' "$number")"); done

# address NODE: the management address of a node.
address() {
  case $1 in
    controller) say "$PREFIX.11" ;;
    compute*) say "$PREFIX.$((30 + ${1#compute}))" ;;
    light*) say "$PREFIX.$((100 + 10#${1#light}))" ;;
  esac
}

container() { say "$NETWORK-$1"; }

# kept_image NODE NAME: the image in which lab/keep keeps a node under a name.
kept_image() { say "localhost/$NETWORK-kept-$1:$2"; }
