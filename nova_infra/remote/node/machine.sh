# Which machine this is, and what it can do.

read_machine() {
    fact hostname "$(hostname)"
    fact now "$(date +%s)"
    if grep -Eq '(vmx|svm)' /proc/cpuinfo; then fact virt_type kvm; else fact virt_type qemu; fi
    fact init "$(init_system)"
}
