# Whether a node is ready for nova: what `check` asks before anything is touched. Nothing here writes, waits for others or takes a lock.

# What apt says about installing those of these (name or name=version) that are not there: refused or ok, what it complains of, what
# somebody holds back and it would change, whether it has any lists, and its sources.
read_installable() {
    due=
    for word; do
        name=${word%%=*}
        version=${word#"$name"}
        state=$(dpkg-query -W -f '${Status} ${Version}\n' "$name" 2>/dev/null | head -n 1)
        case $state in
            *" ok installed "*) [ -n "$version" ] && [ "${state##* }" != "${version#=}" ] || continue ;;
        esac
        due="$due $word"
    done
    [ -n "$due" ] || return 0
    said=$(apt-get $(cache_in_memory) -s --no-remove install $due 2>&1) && verdict=ok || verdict=refused
    lists=$(find /var/lib/apt/lists -name '*Packages*' 2>/dev/null | head -n 1)
    fact installable "$verdict" "${due# }" "$(printf '%s\n' "$said" | grep -E '^E:|Depends:' | head -n 8 | encoded)" \
        "$(printf '%s\n' "$said" | awk '/^[^ ]/ { on = $0 == "The following held packages will be changed:"; next } on' | tr -s ' \n' ' ')" \
        "${lists:+yes}" "$(apt_sources)"
}

# apt writes its cache anew where that is older than what it is made from; told to keep none (apt.conf(5), Dir::Cache), it makes it
# in memory. Of a fetched list only the ctime says when it came.
cache_in_memory() {
    cache=/var/cache/apt/pkgcache.bin
    [ -e "$cache" ] && [ -z "$(find /var/lib/apt/lists /var/lib/dpkg/status /etc/apt -cnewer "$cache" 2>/dev/null | head -n 1)" ] ||
        echo '-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache='
}

# Packages that dpkg has left unfinished, and who holds the lock of apt or dpkg now.
read_dpkg() {
    fact dpkg "$(dpkg-query -W -f '${Status}\t${Package}\n' | awk -F '\t' '$1 ~ / (half-|unpacked|triggers-)/ { printf "%s ", $2 }')" "$(apt_holder)"
}

# Each path with the mount point of its file system and the kilobytes that are free there.
read_space() { for path; do fact space "$path" "$(df -Pk "$path" 2>/dev/null | awk 'NR == 2 { print $6 "\t" $4 }')"; done; }

# service, port: who listens there, with the address as the kernel writes it, the process and its name and user, and whether it is the
# service itself. Without CAP_SYS_PTRACE (a container) root does not see the files of others' processes: then the user says it.
read_listeners() {
    awk -v port=":$(printf '%04X' "$2")" '$4 == "0A" && substr($2, length($2) - 4) == port { print $2, $8, $10 }' \
        /proc/net/tcp /proc/net/tcp6 2>/dev/null |
        while read -r at uid inode; do
            pid=$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" 2>/dev/null | sed -n '1s#^/proc/\([0-9]*\)/.*#\1#p')
            main=$(service_pid "$1")
            own=other
            if [ -z "$main" ]; then :
            elif [ -n "$pid" ]; then case " $(ancestors "$pid")" in *" $main "*) own=own ;; esac
            elif [ "$(stat -c %u "/proc/$main" 2>/dev/null)" = "$uid" ]; then own=own
            fi
            fact listener "$1" "$2" "${at%:*}" "${pid:--}" "$(tr '\t\n' '  ' <"/proc/$pid/comm" 2>/dev/null | sed 's/ $//')" "$(getent passwd "$uid" | cut -d: -f1)" "$own"
        done
}

# A process and those above it.
ancestors() {
    of=$1
    while [ -n "$of" ] && [ "$of" -gt 1 ]; do
        printf '%s ' "$of"
        of=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$of/status" 2>/dev/null)
    done
}
