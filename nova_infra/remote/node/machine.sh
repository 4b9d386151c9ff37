# Which machine this is, and what it can do.

read_machine() {
    fact hostname "$(hostname)"
    fact now "$(date +%s)"
    if grep -Eq '(vmx|svm)' /proc/cpuinfo; then fact virt_type kvm; else fact virt_type qemu; fi
    find_init
    fact init "$init"
}

# The clock at the end of the questions; read_machine has asked at their beginning.
read_clock() { fact later "$(date +%s)"; }

# Each name with the addresses that it has here, if any. What asks for an address by name asks the same sources (getent(1)). All at
# once: a name server may be silent.
read_names() {
    asking=
    for name; do
        { fact name "$name" "$(timeout 10 getent ahosts "$name" 2>/dev/null | awk '!seen[$1]++ { printf "%s ", $1 }')"; } &
        asking="$asking $!"
    done
    [ -z "$asking" ] || wait $asking
}
