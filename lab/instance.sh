# Sourced by lab/demo and lab/by-hand: a real instance, from the image that stands in for cirros, through the Juno client.
# shellcheck shell=bash

INSTANCE=lab-demo

# wait_for_scheduler: until it has found every compute node; it looks every 2 s. An instance that is booted before ends in ERROR.
wait_for_scheduler() {
  local known try
  for try in $(seq 120); do
    known=$("$LAB/ssh" controller sudo /usr/lib/nova-venv/bin/python - <<'P'
import sqlite3
print(' '.join(row[0] for row in sqlite3.connect('/var/lib/nova/nova_api.sqlite').execute('select host from host_mappings')))
P
    )
    [ "$(printf '%s\n' ${NODES[@]:1} | grep -vcxF "$(printf '%s\n' $known)")" != 0 ] || return 0
    sleep 1
  done
  fail "the scheduler knows '$known' after $try tries and not all of ${NODES[*]:1}; look at nova-scheduler.log on the controller"
}

# boot_and_delete: boots an instance, shows it ACTIVE, deletes it, and waits until it is gone on the compute node too.
# Leaves nothing behind, whatever happens to it; the instance of a run that was cut off is removed first.
boot_and_delete() {
  local began=$SECONDS
  say "==> instance: waiting until the scheduler knows each compute node"
  wait_for_scheduler
  say "==> instance: booting $INSTANCE from cirros-0.3.3-x86_64 with the Juno client"
  "$LAB/ssh" controller sudo -i bash -s <<S || fail "the instance did not boot; look at /var/log/nova on the controller and on the computes (lab/ssh NODE sudo tail /var/log/nova/NAME.log)"
source /root/admin-openrc.sh
gone() {
  nova delete $INSTANCE >/dev/null 2>&1
  for try in \$(seq 120); do nova show $INSTANCE >/dev/null 2>&1 || return 0; sleep 0.5; done
  return 1
}
gone
nova flavor-show $INSTANCE >/dev/null 2>&1 || nova flavor-create $INSTANCE auto 64 0 1 >/dev/null || exit 1
nova boot --image cirros-0.3.3-x86_64 --flavor $INSTANCE $INSTANCE >/dev/null || exit 1
for wait in \$(seq 240); do
  status=\$(nova show $INSTANCE | awk '\$2 == "status" {print \$4}')
  [ "\$status" = BUILD ] || break
  sleep 0.5
done
if [ "\$status" != ACTIVE ]; then
  nova show $INSTANCE | grep -E ' (status|fault) ' >&2
  exit 1
fi
nova list
S
  say "    ACTIVE after $((SECONDS - began)) s"
  began=$SECONDS
  say "==> instance: deleting it"
  "$LAB/ssh" controller sudo -i bash -s <<S || fail "the instance does not go away; look at nova-compute.log on the computes"
source /root/admin-openrc.sh
nova delete $INSTANCE
for try in \$(seq 120); do nova show $INSTANCE >/dev/null 2>&1 || break; sleep 0.5; done
nova flavor-delete $INSTANCE >/dev/null
! nova show $INSTANCE >/dev/null 2>&1
S
  for node in "${NODES[@]:1}"; do
    "$LAB/ssh" "$node" "! pgrep -x qemu-system-x86" >/dev/null || fail "$node still runs a qemu after the instance was deleted"
  done
  say "    gone after $((SECONDS - began)) s"
}
