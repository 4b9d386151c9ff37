# What apt does for us: installed with start-up held back, noted before it is added, purged when nobody else needs it.

apt_locks='/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock'
# Seconds to wait for another apt.
apt_patience=600

read_packages() {
    # A package may be installed for more than one architecture: the first line is that of the machine's own.
    dpkg-query -W -f '${Package}\t${Status}\t${Version}\n' "$@" 2>/dev/null | awk -F '\t' -v names="$*" -v mark="$mark" '
        BEGIN { OFS = "\t" }
        !($1 in state) { state[$1] = $2 OFS $3 }
        END {
            count = split(names, name, " ")
            for (i = 1; i <= count; i++) print mark, "fact", "package", name[i], (name[i] in state ? state[name[i]] : "none" OFS "-")
        }'
}

# What apt would add for these (name or name=version), appended to our lists before it is done. Without -y: with it apt would not
# show what it refuses. A line of an upgrade has the old version in brackets; what was here before us is not ours. Of a package
# that was removed and left its configuration here, only the package is ours.
simulate_install() {
    if ! apt-get -s --no-remove install "$@" >"$ours/output" 2>&1; then
        update_lists
        step "installing $*"
        apt-get -s --no-remove install "$@" >"$ours/output" 2>&1 || not_installable "$@"
    fi
    refuse_held
    older=$(listed_under 'The following packages will be DOWNGRADED:')
    # A name that only others provide, or that apt takes for a pattern, would never be there as such.
    all=$(sed -n 's/^Inst \([^ :]*\).*$/\1/p' "$ours/output")
    for name; do
        name=${name%%=*}
        printf '%s\n' "$all" | grep -Fqx "$name" || status_of "$name" | grep -Eq ' (installed|half-|unpacked|triggers-)' ||
            fail "apt knows no package $name of its own. If it is a virtual one, name a package that provides it"
    done
    new=$(sed -n 's/^Inst \([^ :]*\)[^ ]* (.*$/\1/p' "$ours/output")
    for package in $new; do
        case $(status_of "$package") in
            *config-files) echo "$package" >&4 ;;
            *) echo "$package" ;;
        esac
    done >"$ours/new.purge" 4>"$ours/new.remove"
    remember packages.added "$ours/new.purge"
    remember packages.removable "$ours/new.remove"
    note_named "$@"
}

# What apt says, and what there is instead.
not_installable() {
    said=$(grep -E '^E:|Depends:' "$ours/output" | head -n 5 | joined)
    case $said in
        *'Unable to locate package'* | *'find any package'* | *'no installation candidate'*)
            fail "apt-get cannot install $*: $said$(said_sources)$unfetched. Correct the name, or add the repository that has it to apt's sources there: for Juno on Ubuntu 14.04 the Ubuntu Cloud Archive (add-apt-repository cloud-archive:juno)" ;;
        *Version*'was not found'*)
            fail "apt-get cannot install $*: $said (there are: $(versions_of "$@"))$(said_sources)$unfetched. Name a version that is there, or add the repository that has it to apt's sources there" ;;
    esac
    fail "apt-get cannot install $*: ${said:-it said nothing}$(held_back)$(no_room)$(said_sources)$unfetched"
}

# Lines as one line.
joined() { tr -s ' \t' '  ' | sed 's/^ //; s/ $//' | awk 'NF { printf "%s%s", sep, $0; sep = "; " }'; }

# The versions that apt has of those of these that name one.
versions_of() {
    for word; do
        case $word in *=*) echo "${word%%=*} $(apt-cache madison "${word%%=*}" | cut -d '|' -f 2 | tr -d ' ' | uniq | tr '\n' ' ')" ;; esac
    done | joined
}

# The packages that apt lists, indented, under a line of its output.
listed_under() { awk -v title="$1" '/^[^ ]/ { on = $0 == title; next } on' "$ours/output" | tr -s ' \n' ' '; }

refuse_held() {
    held=$(listed_under 'The following held packages will be changed:')
    [ -z "$held" ] || fail "apt-get would change packages that are held back on this node (apt-mark hold):${held% }. Run \`apt-mark unhold\` there first"
}

held_back() { held=$(apt-mark showhold | tr '\n' ' '); [ -z "$held" ] || echo " (held back with apt-mark hold: ${held% })"; }

# Which packages the stack names, so that one that it no longer names is known, also after a run that died.
note_named() {
    printf '%s\n' "$@" | sed 's/=.*//' >"$ours/new.named"
    remember packages.named "$ours/new.named"
}

# Packages that came as dependencies of others, and that the stack now names itself.
name_packages() {
    apt-mark manual "$@" >"$ours/output" 2>&1 || fail "apt-mark manual $*: $(tail -n 1 "$ours/output")"
    note_named "$@"
}

# Adds the lines of the file $2 to our list $1.
remember() {
    cat "$2" "$ours/$1" 2>/dev/null | sort -u >"$ours/new.$1" && mv "$ours/new.$1" "$ours/$1" && rm -f "$2" ||
        fail "could not write $ours/$1 ($(space_in "$ours"))"
    [ -s "$ours/$1" ] || [ "$1" = packages.added ] || rm -f "$ours/$1"
}

update_lists() {
    step "fetching the package lists"
    in_own_session '^(W|E):' apt-get -q update ||
        fail "apt-get update: $(grep -E '^(W|E):' "$ours/output" | tail -n 5 | without_logins | joined)$(no_room)$(said_sources). Correct these sources there, or the way to them"
    # It also ends well when it has reached none of them.
    unfetched=$(sed -n 's/^[WE]: Failed to fetch //p' "$ours/output" | head -n 3 | without_logins | joined)
    [ -z "$unfetched" ] || unfetched=" (not fetched: $unfetched)"
}
unfetched=

apt_sources() {
    sources=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 's/^deb  *//p' | sed 's/^\[.*\] *//' | without_logins | joined)
    echo "$sources"
}
said_sources() { sources=$(apt_sources); echo " (its sources: ${sources:-none})"; }

# One apt run, never cut off. Nova's services do not start while they are half configured: policy-rc.d forbids it
# (invoke-rc.d(8)); what was there before answers for all others, and is put back. Users and groups that came with the
# packages are noted.
packages_session='
ours=/var/lib/nova-infra
policy=/usr/sbin/policy-rc.d
accounts() { { sed "s/:.*//; s/^/user /" /etc/passwd; sed "s/:.*//; s/^/group /" /etc/group; } | sort; }
no_policy() { rm -f $policy.new $policy.kept; echo "E: could not write $policy"; exit 100; }
there() { [ -e "$1" ] || [ -L "$1" ]; }
accounts >$ours/accounts.before
there $policy.nova-infra || there $policy.nova-infra-none ||
    if there $policy; then rm -f $policy.kept && cp -pP $policy $policy.kept && mv -T $policy.kept $policy.nova-infra; else touch $policy.nova-infra-none; fi ||
    no_policy
{ echo "#!/bin/sh"; echo "running=\" $nova_running \""; cat <<"POLICY"; } >$policy.new &&
for word; do
    case $word in
        --*) ;;
        nova-*) case $running in *" $word "*) ;; *) held=yes ;; esac ;;
        *start*) start=yes ;;
    esac
done
[ "$held$start" = yesyes ] && exit 101
[ ! -x /usr/sbin/policy-rc.d.nova-infra ] || exec /usr/sbin/policy-rc.d.nova-infra "$@"
exit 0
POLICY
chmod 755 $policy.new && mv -T $policy.new $policy || no_policy
# What these start is not to hold our lock.
dpkg --force-confold --configure -a 9>&-
set -- -q -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@"
if [ "$0" = one-yes ]; then echo y | apt-get "$@"; else apt-get -y "$@"; fi
code=$?
if there $policy.nova-infra; then mv -T $policy.nova-infra $policy; else rm -f $policy $policy.nova-infra-none; fi
accounts | comm -13 $ours/accounts.before - | cat - $ours/packages.accounts 2>/dev/null | sort -u >$ours/new.packages.accounts &&
    mv $ours/new.packages.accounts $ours/packages.accounts
rm -f $ours/accounts.before
exit $code'

run_apt() {
    in_own_session '^(Setting up|Removing|Purging|Fetched)' env nova_running="$(running_services)" sh -c "$packages_session" "${answers:-all-yes}" "$@"
}

# The services of nova that run now: they are configured, and what upgrades them may start them again.
running_services() {
    for file in /etc/init.d/nova-* "$etc_init"/nova-*.conf; do
        name=${file##*/}; name=${name%.conf}
        [ ! -e "$file" ] || [ -z "$(service_pid "$name")" ] || printf '%s ' "$name"
    done
}

# What dpkg says of a package stands in the indented lines behind its error, what the package's own script said before it. What apt
# says behind a question that it has asked stands in the line of the question.
complaints='
function complain(text) { if (!known[text]++) { print text; said++ } }
function close_item() {
    # What depends on a package that failed is not why.
    if (item ~ /dependency problems/) waits = item
    else if (item != "") complain(item (script == "" ? "" : ", after its script said \"" script "\""))
    item = script = ""
}
item != "" && /^ / { item = item $0; next }  # what it says of the error
{ close_item() }
/^(Setting up|Unpacking|Preparing to unpack|Selecting|Removing|Purging|Processing triggers) / { last = before = ""; began = 1; next }
/^dpkg: (error processing|unrecoverable|dependency problems) / {
    item = $0; found = 1
    if (began) script = (before == "" ? "" : before " / ") last
    next
}
(/Sub-process .* returned an error code/ || /^dpkg-deb: error: paste /) && found { next }
/(^|[] ])E: / || /^dpkg(-deb)?: / { complain($0); next }
NF && !/^\(Reading database/ && !/^Errors were encountered/ { before = last; last = $0 }
END { close_item(); if (!said && waits != "") complain(waits) }
'
apt_failed() {
    # apt runs dpkg on a terminal of its own: its lines then end with a carriage return.
    said=$(tr '\t' ' ' <"$ours/output" | tr -d '\r' | awk "$complaints" | head -n 5 | without_logins | joined)
    said=${said:-it said nothing}$(no_room)
    case $said in
        *'No space left'* | *'enough free space'* | *'no room is left'*) todo=". Make room there (apt-get clean removes what apt has fetched)" ;;
        *'(--configure)'*) todo=". Look there: dpkg --configure -a runs that script again" ;;
        *) todo= ;;
    esac
    fail "apt-get $1: $said$(held_back)$todo"
}

# The file systems of apt, dpkg and ours on which less than 1 MB or no inode is left.
no_room() {
    full=$(for folder in / /usr /etc /tmp /var/cache/apt/archives /var/lib/apt/lists /var/lib/dpkg "$ours"; do
        df -Pk "$folder" | awk 'NR == 2 && $4 < 1024 { print $6 }'
        df -Pi "$folder" | awk 'NR == 2 && $2 > 0 && $4 == 0 { print $6 }'
    done 2>/dev/null | sort -u | tr '\n' ' ')
    [ -z "$full" ] || echo " (no room is left on ${full% })"
}

# What apt says and what we note about it need room: of a list that was cut off nobody would know.
need_room() {
    mkdir -p "$ours" && [ "$(df -Pk "$ours" | awk 'NR == 2 { print $4 }')" -ge 1024 ] ||
        fail "there is no room for our notes and for what apt says ($(space_in "$ours")). Make at least 1 MB of room there (apt-get clean removes what apt has fetched)"
}

install_packages() {
    need_room
    wait_for_apt
    install_once "$@" && return
    if grep -q 'Could not get lock' "$ours/output"; then
        # Another one was faster; apt before 1.9.11 does not wait by itself.
        wait_for_apt
    else
        # Lists that are older than the archive name files that are gone.
        grep -q 'Failed to fetch' "$ours/output" || install_failed
        update_lists
        step "installing $*"
    fi
    # What is ours is another thing now: the lists name other dependencies, or the other one has installed some.
    forget_gone
    install_once "$@" || install_failed
}

install_once() {
    simulate_install "$@"
    answers=
    if [ -n "$older" ]; then
        say "progress${tab}these go to an older version:$older"
        if apt-get -s --allow-downgrades install >/dev/null 2>&1; then set -- --allow-downgrades "$@"
        # apt before 1.1 has only --force-yes, which also takes what nobody has signed. Asked, it wants one yes for an older version and
        # another for what is not signed, in this order; it gets the first only.
        else answers=one-yes
        fi
    fi
    run_apt install --no-remove "$@"
}

# What was not installed is not ours, should somebody install it later.
install_failed() {
    forget_gone
    apt_failed install
}

# Another apt or dpkg (unattended-upgrades, a person) may hold the lock.
wait_for_apt() {
    holder=$(apt_holder)
    [ -n "$holder" ] || return 0
    interrupted=$current
    step "waiting for another apt or dpkg: $holder"
    waited=0
    while [ -n "$holder" ]; do
        [ "$waited" -lt "$apt_patience" ] ||
            fail "$holder still holds apt's lock after $apt_patience s; it runs: $(holder_command). Let it end, or end it"
        sleep 1
        waited=$((waited + 1))
        [ "$((waited % beat))" -ne 0 ] || say "progress${tab}$holder still holds apt's lock"
        holder=$(apt_holder)
    done
    [ -z "$interrupted" ] || step "$interrupted"
}

holder_command() { pid=${holder#process }; tr '\0' ' ' <"/proc/${pid%% *}/cmdline" 2>/dev/null | cut -c 1-200 | joined; }

# The process that holds one of the locks of apt and dpkg. They are locks of fcntl(2), which flock(1) does not see; and the
# numbers in /proc/locks are not those of stat(1) on every file system, so the process's open files are looked at.
apt_holder() {
    for pid in $(awk '$2 == "POSIX" && $5 > 0 { print $5 }' /proc/locks 2>/dev/null | sort -un); do
        for open in "/proc/$pid/fd"/*; do
            for file in $apt_locks; do
                if [ "$open" -ef "$file" ]; then echo "process $pid ($(cat "/proc/$pid/comm" 2>/dev/null))"; return; fi
            done
        done
    done
}

# Purges exactly what we added, with the users and groups that came with it. What others have since come to need stays.
purge_packages() {
    [ -e "$ours/packages.added" ] || return 0
    need_room
    wait_for_apt
    take_away $(ours_here)
    if [ -n "$keep" ]; then
        # Still ours, and noted as such, with their users and groups; but nobody names them.
        forget_gone
        rm -f "$ours/packages.named"
    else
        remove_accounts packages.accounts
        for list in added removable named accounts leaving; do rm -f "$ours/packages.$list"; done
        rm -f "$ours/accounts.before"
    fi
}

# The packages that the stack no longer names: those that we added go, with their dependencies that we added and that nobody
# needs any more, and with the users and groups of which only they speak.
drop_packages() {
    need_room
    wait_for_apt
    mine=$(ours_here)
    dropped=$(printf '%s\n' "$@")
    going=$(printf '%s\n' $mine | grep -Fx "$dropped")
    still_named=$(grep -Fvx "$dropped" "$ours/packages.named")
    leave_needed $going
    stays=$keep
    if [ -n "$going" ]; then
        simulate_purge --auto-remove $going
        # Of what nobody needs any more only what is ours goes; what the stack names is needed.
        going=$(removed_in "$ours/output" | grep -Fx "$(printf '%s\n' $mine)" | without $still_named)
        note_leaving $going
        take_away $going
    fi
    # From now on they are there for those who need them.
    [ -z "$stays" ] || apt-mark auto $stays >"$ours/output" 2>&1 || fail "apt-mark auto $stays: $(tail -n 1 "$ours/output")"
    remove_accounts packages.leaving
    rm -f "$ours/packages.leaving"
    forget_gone
    forget packages.named "$dropped"
}

# Lines of standard input that are not among the arguments.
without() { if [ $# -eq 0 ]; then cat; else grep -Fvx "$(printf '%s\n' "$@")"; fi; }

# Takes the lines $2 out of our list $1.
forget() {
    [ -e "$ours/$1" ] && [ -n "$2" ] || return 0
    without $2 <"$ours/$1" >"$ours/new.$1"
    mv "$ours/new.$1" "$ours/$1" || fail "could not write $ours/$1 ($(space_in "$ours"))"
}

# Of what we added: what is there. Of what had left its configuration here before us, that does not count.
ours_here() {
    for package in $(cat "$ours/packages.added" 2>/dev/null); do
        status_of "$package" | grep -Eq ' (installed|config-files|half-|unpacked|triggers-)' && echo "$package"
    done
    for package in $(cat "$ours/packages.removable" 2>/dev/null); do
        status_of "$package" | grep -Eq ' (installed|half-|unpacked|triggers-)' && echo "$package"
    done
}
status_of() { dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | head -n 1; }

# Takes out of our lists what is no longer there.
forget_gone() {
    here=$(ours_here)
    for list in packages.added packages.removable; do
        [ ! -e "$ours/$list" ] || forget "$list" "$(cat "$ours/$list" | without $here)"
    done
}

simulate_purge() {
    apt-get -s purge "$@" >"$ours/output" 2>&1 || fail "apt-get cannot remove $*: $(grep '^E:' "$ours/output" | head -n 3)"
}

# Which of these packages can go without another one going: into $going; those that others need: into $keep, and said.
leave_needed() {
    keep=
    while [ $# -gt 0 ]; do
        simulate_purge "$@"
        refuse_held
        others=$(removed_in "$ours/output" | without "$@")
        [ -n "$others" ] || break
        needed=$(needed_by "$others" "$@")
        [ -n "$needed" ] || fail "removing our packages would also remove $(echo $others), which is not ours (apt-get -s purge $* shows why)"
        keep="$keep $needed"
        say "progress${tab}stays, because $(echo $others) needs it: $(echo $needed)"
        set -- $(printf '%s\n' "$@" | without $needed)
    done
    going="$*"
}

# Purges those of these packages that nobody else needs. Of what had left its configuration here before us, only the package.
take_away() {
    leave_needed "$@"
    removable=$(cat "$ours/packages.removable" 2>/dev/null)
    purge=$(printf '%s\n' $going | without $removable)
    remove=$(printf '%s\n' $going | grep -Fx "${removable:-/}")
    [ -z "$purge" ] || run_apt purge $purge || apt_failed purge
    [ -z "$remove" ] || run_apt remove $remove || apt_failed remove
}

removed_in() { sed -n 's/^\(Remv\|Purg\) \([^ :]*\).*$/\2/p' "$1" | sort -u; }

# Which of our packages ($2...) the packages $1 depend on, directly or not.
needed_by() {
    others=$1; shift
    for package in "$@"; do
        apt-get -s purge "$package" >"$ours/output" 2>/dev/null
        removed_in "$ours/output" | grep -Fqx "$others" && echo "$package"
    done
}

scripts_of() {
    for package; do dpkg-query --control-path "$package" 2>/dev/null; done | grep -E '\.(preinst|postinst|prerm|postrm|config)$'
}

# Of the users and groups that came with our packages, those of which the scripts of these packages speak: noted before the
# scripts are gone.
note_leaving() {
    [ -e "$ours/packages.accounts" ] || return 0
    scripts=$(scripts_of "$@")
    while read -r kind name; do
        [ -n "$scripts" ] && grep -Fqw -e "$name" $scripts && echo "$kind $name"
    done <"$ours/packages.accounts" >"$ours/new.leaving"
    remember packages.leaving "$ours/new.leaving"
}

# The users and groups of our list $1. Only accounts of the system: ids below 1000, and Debian's own range from 60000.
remove_accounts() {
    [ -e "$ours/$1" ] || return 0
    info=/var/lib/dpkg/info
    for kind in user group; do
        for name in $(sed -n "s/^$kind //p" "$ours/$1"); do
            if [ "$1" = packages.leaving ] && grep -Fqsw -e "$name" "$info"/*inst "$info"/*rm "$info"/*.config; then
                say "progress${tab}the $kind $name stays, because another package speaks of it"
                continue
            fi
            if [ $kind = user ]; then id=$(id -u "$name" 2>/dev/null); else id=$(getent group "$name" | cut -d: -f3); fi
            case $id in
                '') ;;
                [0-9] | [0-9][0-9] | [0-9][0-9][0-9] | 6[0-4][0-9][0-9][0-9])
                    ${kind}del "$name" >"$ours/output" 2>&1 || fail "could not remove the $kind $name: $(tail -n 1 "$ours/output")" ;;
                *) say "progress${tab}the $kind $name stays: its number $id is not one of the system's" ;;
            esac
        done
    done
    # Those that stay may still go with a later package: they stay noted.
    [ "$1" = packages.accounts ] || accounts_gone
}

accounts_gone() {
    gone=$(while read -r kind name; do
        if [ "$kind" = user ]; then id -u "$name"; else getent group "$name"; fi >/dev/null 2>&1 || echo "$kind $name"
    done <"$ours/packages.accounts")
    [ -n "$gone" ] || return 0
    grep -Fvx "$gone" "$ours/packages.accounts" >"$ours/new.packages.accounts"
    mv "$ours/new.packages.accounts" "$ours/packages.accounts"
}
