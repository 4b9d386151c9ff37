# Sourced by lab/up: light nodes are many, so what is done for each of the others by a command of podman is done for all at once here.
# shellcheck shell=bash

REPORTS_PORT=5673

# light_states: `NAME STATE` of each container of a light node that exists; STATE is running or stopped.
light_states() {
  local name pid
  # podman alone does not notice a node whose processes were killed with all else.
  podman ps -a --filter "name=^$NETWORK-light[0-9]+\$" --format '{{.Names}} {{.Pid}}' | while read -r name pid; do
    if [ "$pid" != 0 ] && grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$pid/status"; then say "$name running"; else say "$name stopped"; fi
  done
}

# remove_surplus_light: light nodes beyond LAB_LIGHT go, and what reported for them when none is left.
remove_surplus_light() {
  local name surplus=()
  for name in $(light_states | cut -d ' ' -f 1); do
    [ "$((10#${name##*light}))" -le "$LIGHT" ] || surplus+=("$name")
  done
  [ ${#surplus[@]} -gt 0 ] || return 0
  say "==> lab: removing ${#surplus[@]} light nodes, which are more than LAB_LIGHT=$LIGHT"
  podman rm -f -t 0 -v "${surplus[@]}" >/dev/null
  rm -rf "${surplus[@]/#$NETWORK-/$STATE/light/}"
}

# start_light: the light nodes that do not run, made where they do not exist. What makes one of them of the image lies in a folder that it
# copies at its first boot.
start_light() {
  local node name new=() stopped=()
  local -A states=()
  while read -r name node; do states[$name]=$node; done < <(light_states)
  for node in "${LIGHT_NODES[@]}"; do
    name=$(container "$node")
    case ${states[$name]:-absent} in
      absent) new+=("$node") ;;
      stopped) stopped+=("$node") ;;
    esac
  done
  STARTED_LIGHT=$((${#new[@]} + ${#stopped[@]}))
  [ "$STARTED_LIGHT" -gt 0 ] || return 0
  say "==> lab: starting $STARTED_LIGHT light nodes"
  for node in "${new[@]}"; do create_light "$node"; done
  for node in "${stopped[@]}"; do start "$node"; done
  # One after the other, but in one process.
  [ ${#new[@]} = 0 ] || podman start "${new[@]/#/$NETWORK-}" >/dev/null 8>&-
}

create_light() {
  local node=$1 files=$STATE/light/$1
  rm -rf "$files"
  mkdir -p "$files"
  node_files "$node" | tar -C "$files" -xf -
  podman --runtime runc create -q --name "$(container "$node")" --hostname "$node" --ip "$(address "$node")" "${OPTIONS[@]}" \
    --label "nova-lab.checkout=$ROOT" --label "nova-lab.repository=$LIGHT_PACKAGES" --label "nova-lab.image=$LIGHT_IMAGE" \
    -v "$LIGHT_PACKAGES:/srv/nova-lab-repo:ro" -v "$files:/srv/nova-lab-node:ro" "$LIGHT_IMAGE" >/dev/null
}

# start_reports: what writes the reports of the light nodes, on the controller; it does not survive the controller's restart.
start_reports() {
  local controller reports=/usr/local/lib/light-reports.py
  controller=$(container controller)
  ! timeout 2 bash -c ': <"/dev/tcp/$0/$1"' "$(address controller)" "$REPORTS_PORT" 2>/dev/null || return 0
  podman exec -i "$controller" sh -c "cat >$reports" <"$LAB/light/reports.py"
  podman exec -d "$controller" sh -c "exec /opt/lab-servers/bin/python $reports >>/var/log/light-reports.log 2>&1" >/dev/null 8>&-
}
