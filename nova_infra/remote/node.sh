# What we do on a node, as POSIX shell functions. Ahead of this file stands `mark`, the word that begins each line meant for
# us; behind it stand the calls of one operation, with quoted arguments.
# Needs only what Ubuntu 14.04's base system has: dash, coreutils, util-linux, dpkg, apt, awk.

umask 077
LC_ALL=C; export LC_ALL
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH
DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND
# Under sudo they may be a desktop's; the init system is meant, not a user's session.
unset UPSTART_SESSION UPSTART_JOB UPSTART_INSTANCE
ours=/var/lib/nova-infra
etc_init=/etc/init
apt_locks='/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock'
# Seconds: until a wait says again what it waits for; for another apt; for an init script or job to start or stop.
beat=15
apt_patience=600
service_patience=120
current=
tab=$(printf '\t')

# The other side keeps our standard input open for as long as it waits for us. When it closes (connection lost, engine
# killed) this process group ends. What must not be cut off (dpkg, db sync) runs in a session of its own.
exec 3<&0 </dev/null
# The watcher's own children (read is a builtin, sleep is not) hold no descriptor that would keep the channel open.
( while read -r _; do :; done <&3; trap '' TERM; kill -TERM 0; sleep 4; kill -KILL 0 ) >/dev/null 2>&1 &
watcher=$!
exec 3<&-
trap 'kill "$watcher" 2>/dev/null' EXIT

say() { printf '%s\t%s\n' "$mark" "$1"; }
fact() { line=$mark${tab}fact; for field; do line=$line$tab$field; done; printf '%s\n' "$line"; }
step() { current=$1; say "step$tab$1"; }
fail() { say "failed$tab$current"; printf '%s\n' "$1" >&2; exit 1; }
encoded() { base64 -w0; }

# ---------------------------------------------------------------- reading

read_machine() {
    fact hostname "$(hostname)"
    fact now "$(date +%s)"
    if grep -Eq '(vmx|svm)' /proc/cpuinfo; then fact virt_type kvm; else fact virt_type qemu; fi
    fact init "$(init_system)"
}

init_system() {
    if [ -d "$etc_init" ] && initctl version 2>/dev/null | grep -q upstart; then echo upstart; else echo sysv; fi
}

# A file as it is: kind, owner, group, mode, time of last change (seconds), content. The time is ctime: a file that was moved into
# place keeps its own date.
read_file() {
    if [ -L "$1" ]; then fact file "$1" link - - - 0 "$(readlink "$1" | encoded)"
    elif [ -f "$1" ]; then fact file "$1" file "$(stat -c "%U$tab%G$tab%a$tab%Z" "$1")" "$(encoded <"$1")"
    elif [ -e "$1" ]; then fact file "$1" other - - - 0 -
    else fact file "$1" missing - - - 0 -
    fi
}

read_path() { if [ -e "$1" ] || [ -L "$1" ]; then fact path "$1" present; else fact path "$1" absent; fi; }

read_packages() {
    for package; do
        state=$(dpkg-query -W -f '${Status}\t${Version}' "$package" 2>/dev/null) || state=
        fact package "$package" "${state:-none$tab-}"
    done
}

# A service: running or stopped, process id, its start (clock ticks and seconds), enabled at boot, what we noted at our
# last start of it.
read_service() {
    pid=$(service_pid "$1")
    if [ -n "$pid" ]; then
        ticks=$(process_ticks "$pid")
        fact service "$1" running "$pid" "$ticks" "$(process_start "$ticks")" "$(service_enabled "$1")" "$(service_note "$1")"
    else
        fact service "$1" stopped - - 0 "$(service_enabled "$1")" "$(service_note "$1")"
    fi
}

service_note() { if [ -f "$ours/service.$1" ]; then cat "$ours/service.$1"; else echo -; fi; }

upstart_job() { [ "$(init_system)" = upstart ] && [ -f "$etc_init/$1.conf" ]; }

# What upstart says of a job: goal/state and its process, such as `start/running 1234`; nothing of a job that it does not know.
# The text counts, `status` exits 0 for a stopped job too. A process that is named, as in `(post-start) process 7`, is not the
# main one (initctl(8), status).
job_state() {
    initctl status "$1" 2>/dev/null |
        sed -n '1s/^.* \([a-z]*\/[a-z-]*\)\(, process \([0-9]*\)\)\{0,1\}\(, (.*\)\{0,1\}$/\1 \3/p'
}

service_pid() {
    pid=
    if upstart_job "$1"; then
        # In the other states there is no main process yet, or it is about to end, or (spawned) it may still fork.
        state=$(job_state "$1")
        case $state in 'start/running '* | 'start/post-start '* | 'start/pre-stop '*) pid=${state#* } ;; esac
    else
        service "$1" status >/dev/null 2>&1 || return 0
        for file in "/var/run/nova/$1.pid" "/var/run/$1.pid" "/var/run/$1/$1.pid"; do
            [ -s "$file" ] && pid=$(cat "$file") && break
        done
    fi
    if [ -n "$pid" ] && [ -d "/proc/$pid" ]; then echo "$pid"; fi
}

# Not even about to start or to end.
service_stopped() {
    if upstart_job "$1"; then
        case $(job_state "$1") in '' | 'stop/waiting '*) ;; *) return 1 ;; esac
    else [ -z "$(service_pid "$1")" ]
    fi
}

process_ticks() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | awk '{ print $20 }'; }
process_start() { awk -v ticks="$1" -v hz="$(getconf CLK_TCK)" '/^btime/ { printf "%d\n", $2 + ticks / hz }' /proc/stat; }

service_enabled() {
    if upstart_job "$1"; then
        if starts_at_boot "$1"; then echo enabled; else echo disabled; fi
    else
        set -- /etc/rc2.d/S[0-9][0-9]"$1"
        if [ -e "$1" ]; then echo enabled; else echo disabled; fi
    fi
}

# Which stanza a line of a job's file begins: `manual`, `start` (on), or none that matters. What stands between `script` and `end
# script`, or behind a line that ends in a backslash, is no stanza.
stanzas='
{
    stanza = ""; text = $0; sub(/#.*/, "", text); split(text, word)
    body = inside || continued
    continued = !inside && /\\$/
}
inside && word[1] == "end" && word[2] == "script" { inside = 0 }
!body && (word[1] == "script" || word[2] == "script" && word[1] ~ /^p(re|ost)-st/) { inside = 1 }
!body && word[1] == "manual" { stanza = "manual" }
!body && word[1] == "start" && word[2] == "on" { stanza = "start" }
'

# The override is read behind the job's own file, and `manual` forgets only the conditions before it (init(5)).
starts_at_boot() {
    for file in "$etc_init/$1.conf" "$etc_init/$1.override"; do [ ! -f "$file" ] || { cat "$file"; echo; }; done |
        awk "$stanzas"'stanza { last = stanza } END { exit last != "start" }'
}

# The version of the database schema (or `unknown`), and the newest migration that the installed packages bring (0: not known).
read_schema() {
    if ! version=$(su -s /bin/sh -c 'timeout -k 5 60 nova-manage db version' nova 2>/dev/null </dev/null); then version=unknown; fi
    version=$(printf '%s\n' "$version" | grep -Ex '[0-9]+|unknown' | tail -n 1)
    newest=$(for package in python-nova nova-common; do dpkg -L "$package" 2>/dev/null; done |
        sed -n 's#^.*/nova/db/sqlalchemy/migrate_repo/versions/\([0-9][0-9]*\)_[^/]*\.py$#\1#p' | sort -n | tail -n 1 | sed 's/^0*//')
    fact schema "${version:-unknown}" "${newest:-0}"
}

read_note() {
    if [ -f "$ours/$1" ]; then fact note "$1" "$(encoded <"$ours/$1")"; else fact note "$1" -; fi
}

# Whose each file is. dpkg knows the checksum with which a package brought a configuration file, and ucf(1) of those that it
# manages.
read_origins() {
    packaged=$(
        dpkg-query -W -f '${Conffiles}\n' 2>/dev/null | awk '$2 ~ /^[0-9a-f]+$/ { print $2 "  " $1 }'
        cat /var/lib/ucf/hashfile 2>/dev/null
    )
    for path; do
        if [ -e "$ours/original$path" ] || [ -L "$ours/original$path" ] || [ -e "$ours/original$path.absent" ]; then origin=ours
        elif [ ! -e "$path" ] && [ ! -L "$path" ]; then origin=none
        elif printf '%s\n' "$packaged" | grep -Fqx "$(md5sum "$path" 2>/dev/null)"; then origin=packaged
        else origin=foreign
        fi
        fact origin "$path" "$origin"
    done
}

# The last lines of a service's own logs, for an error message.
read_log() {
    for file in "/var/log/nova/$1.log" "/var/log/nova/$1-stderr.log" "/var/log/upstart/$1.log"; do
        [ -s "$file" ] && fact log "$1" "$(tail -n "$2" "$file" | encoded)"
    done
    return 0
}

# ---------------------------------------------------------------- acting

# One operation at a time on a node. Whoever had to wait has read the machine too early, and is told to begin again.
lock() {
    mkdir -p "$ours"
    exec 9>>"$ours/lock"
    flock -n 9 && return 0
    step "waiting for another run that is still working on this node"
    waited=0
    until flock -w "$beat" 9; do
        waited=$((waited + beat))
        [ "$waited" -lt "$1" ] || fail "the other run did not end within $1 s; its process holds $ours/lock"
        say "progress${tab}it still works: $(last_words)"
    done
    say "again${tab}-"
    exit 0
}

# Runs a command that must never be cut off in a session of its own. Its output goes to a file; the lines that match $1 are
# shown while it runs, and now and then the last line when none does. It keeps the node's lock (descriptor 9) until it ends,
# also when we end before it.
in_own_session() {
    shown=$1; shift
    : >"$ours/output"
    # Other programs get the usual umask; ours is for our own files.
    umask 022
    setsid "$@" >"$ours/output" 2>&1 </dev/null &
    child=$!
    umask 077
    seen=0
    quiet=0
    while :; do
        if kill -0 "$child" 2>/dev/null; then alive=yes; else alive=; fi
        count=$(wc -l <"$ours/output")
        if [ "$count" -gt "$seen" ]; then
            lines=$(sed -n "$((seen + 1)),${count}p" "$ours/output" | grep -E "$shown") && quiet=0 &&
                printf '%s\n' "$lines" | while IFS= read -r line; do say "progress$tab$line"; done
            seen=$count
        fi
        [ -n "$alive" ] || break
        # Two rounds a second.
        [ "$quiet" -lt "$((beat * 2))" ] || { quiet=0; say "progress${tab}still running: $(last_words)"; }
        quiet=$((quiet + 1))
        sleep 0.5
    done
    wait "$child"
}

# Keeps a file as it was before us, once, so that it can be put back. The copy is for root only, as the file may hold passwords;
# its owner and mode stand beside it. A link is kept as a link.
keep_original() {
    kept=$ours/original$1
    [ -e "$kept" ] || [ -L "$kept" ] || [ -e "$kept.absent" ] && return 0
    mkdir -p "${kept%/*}"
    if [ -L "$1" ]; then cp -P "$1" "$kept"
    elif [ -f "$1" ]; then
        stat -c '%U:%G %a' "$1" >"$kept.owner" && cp "$1" "$kept.new" && chmod 600 "$kept.new" &&
            touch -r "$1" "$kept.new" && mv "$kept.new" "$kept"
    else : >"$kept.absent"
    fi || fail "could not keep a copy of $1 in $ours (disk space: $(df -Pk /var/lib | tail -n 1))"
}

put_back_original() {
    kept=$ours/original$1
    if [ ! -d "${1%/*}" ]; then :
    elif [ -L "$kept" ]; then cp -P "$kept" "$1.nova-infra" && mv "$1.nova-infra" "$1"
    elif [ -e "$kept" ]; then
        read -r owner mode <"$kept.owner" && cp "$kept" "$1.nova-infra" && chown "$owner" "$1.nova-infra" &&
            chmod "$mode" "$1.nova-infra" && touch -r "$kept" "$1.nova-infra" && mv "$1.nova-infra" "$1"
    elif [ -e "$kept.absent" ]; then rm -f "$1"
    fi || fail "could not put $1 back (its copy: $kept)"
    rm -f "$kept" "$kept.owner" "$kept.absent"
}

# path, owner, group, mode, content. The file is whole at any time, and never readable by others.
put_file() {
    keep_original "$1"
    printf '%s' "$5" >"$1.nova-infra" && chown "$2:$3" "$1.nova-infra" && chmod "$4" "$1.nova-infra" && mv "$1.nova-infra" "$1" ||
        fail "could not write $1 (does its directory exist, and has the disk space: $(df -Pk "${1%/*}" 2>&1 | tail -n 1))"
}

set_owner_and_mode() {
    keep_original "$1"
    chown "$2:$3" "$1" && chmod "$4" "$1" || fail "could not set owner and mode of $1 (wanted: $2:$3, $4)"
}

remove_file() { rm -f "$1" || fail "could not remove $1 (look at its directory: ls -ld ${1%/*})"; }

write_note() { mkdir -p "$ours"; printf '%s' "$2" >"$ours/$1.new" && mv "$ours/$1.new" "$ours/$1" || fail "could not write $ours/$1 (disk space: $(df -Pk /var/lib | tail -n 1))"; }

# Notes have a lock of their own: a resource behind this node need not wait for an apt run on it.
lock_notes() { mkdir -p "$ours" && exec 8>>"$ours/notes.lock" && flock -w 60 8 || fail "could not take the lock $ours/notes.lock (another run holds it, or the disk is full)"; }

# Writes a note unless there is one already, and says what it then holds.
write_first_note() {
    lock_notes
    [ -e "$ours/$1" ] || write_note "$1" "$2"
    read_note "$1"
}

remove_notes() {
    lock_notes
    for name; do rm -f "$ours/$name"; done
    find "$ours/original" -depth -type d -empty -exec rmdir {} \; 2>/dev/null
    # Nothing of ours stays on the node.
    if [ -z "$(ls -A "$ours" | grep -Evx 'lock|notes\.lock|output.*')" ]; then rm -rf "$ours"; fi
}

# The last line of a command's output that says something: not blank, not the inside of a Python traceback.
last_words() { grep -v -e '^$' -e '^[[:space:]]' -e '^Traceback ' "$ours/output" 2>/dev/null | tail -n 1 | tr '\t' ' '; }

sync_database() {
    in_own_session 'x^' su -s /bin/sh -c 'nova-manage db sync' nova ||
        fail "the schema is not up to date: $(last_words) (more: /var/log/nova/nova-manage.log)"
}

# name, start or stop. The daemons get none of our descriptors, neither the lock nor the channel, and the usual umask: with
# ours, QEMU could not read the disks that nova-compute makes. upstart's own `start` and `stop` wait without a limit.
run_service() {
    : >"$ours/output.$1"
    (umask 022 && exec timeout --foreground -k 5 "$service_patience" service "$1" "$2") >"$ours/output.$1" 2>&1 </dev/null 8>&- 9>&-
}

service_failed() {
    said=$(tail -n 3 "$ours/output.$1")
    upstart_job "$1" && said="$said (upstart says: $(initctl status "$1" 2>&1 | head -n 1))"
    case $3 in 124 | 137) said="not within $service_patience s; $said" ;; esac
    fail "service $1 $2: $said"
}

stop_service() {
    run_service "$1" stop
    code=$?
    if upstart_job "$1"; then
        # Somebody else may have stopped it: upstart calls that an error. What counts is where it ends.
        [ "$code" -eq 0 ] || case $(job_state "$1") in start/*) service_failed "$1" stop "$code" ;; esac
        tries=0
        until service_stopped "$1"; do
            tries=$((tries + 1))
            [ "$tries" -lt "$((service_patience * 4))" ] || service_failed "$1" stop 124
            sleep 0.25
        done
    elif [ "$code" -ne 0 ]; then service_failed "$1" stop "$code"
    fi
}

# All at once: each may take its time to end what it has begun.
stop_services() {
    stopping=
    for name; do
        { service_stopped "$name" || stop_service "$name"; } &
        stopping="$stopping $!"
    done
    for child in $stopping; do wait "$child" || exit 1; done
}

# name, fingerprint of what it reads. Noted with the start of the process, so that the next run knows what that process read.
start_service() {
    run_service "$1" start
    code=$?
    if [ "$code" -ne 0 ]; then
        # upstart refuses to start what has been started since we looked, and nobody knows what that one has read.
        upstart_job "$1" && case $(job_state "$1") in start/*) ;; *) false ;; esac || service_failed "$1" start "$code"
        stop_service "$1"
        run_service "$1" start || service_failed "$1" start "$?"
    fi
    tries=0
    while pid=$(service_pid "$1"); [ -z "$pid" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 40 ] || { echo "no process of it appeared within 10 s" >>"$ours/output.$1"; service_failed "$1" start 0; }
        sleep 0.25
    done
    note_service "$1" "$2"
}

note_service() {
    pid=$(service_pid "$1")
    [ -n "$pid" ] && write_note "service.$1" "$(process_ticks "$pid") $2"
    return 0
}

# name, enabled or disabled
set_boot() {
    if upstart_job "$1"; then
        override=$etc_init/$1.override
        keep_original "$override"
        {
            [ ! -f "$override" ] || awk "$stanzas"'stanza != "manual"' "$override"
            [ "$2" = enabled ] || echo manual
        } >"$override.new"
        if [ -s "$override.new" ]; then chmod 644 "$override.new" && mv "$override.new" "$override"
        else rm -f "$override" "$override.new"
        fi ||
            fail "could not write $override (disk space: $(df -Pk "$etc_init" | tail -n 1))"
        [ "$(service_enabled "$1")" = "$2" ] ||
            fail "$etc_init/$1.conf itself does not start $1 at boot (it says manual, or has no \`start on\`). Put a \`start on\` into $override"
    elif [ "$2" = enabled ]; then update-rc.d "$1" enable >/dev/null 2>&1 || fail "could not make $1 $2 at boot (update-rc.d $1 enable says why)"
    else update-rc.d "$1" disable >/dev/null 2>&1 || fail "could not make $1 $2 at boot (update-rc.d $1 disable says why)"
    fi
}

# ---------------------------------------------------------------- packages

# What apt would add for these (name or name=version), appended to our lists before it is done. Without -y: with it apt would not
# show what it refuses. A line of an upgrade has the old version in brackets; what was here before us is not ours. Of a package
# that was removed and left its configuration here, only the package is ours.
simulate_install() {
    if ! apt-get -s --no-remove install "$@" >"$ours/output" 2>&1; then
        update_lists
        step "installing $*"
        apt-get -s --no-remove install "$@" >"$ours/output" 2>&1 ||
            fail "apt-get cannot install $*: $(grep -E '^E:|Depends:' "$ours/output" | head -n 5)$(held_back) (its sources: $(apt_sources))"
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
    cat "$2" "$ours/$1" 2>/dev/null | sort -u >"$ours/$1.new" && mv "$ours/$1.new" "$ours/$1" && rm -f "$2" ||
        fail "could not write $ours/$1 (disk space: $(df -Pk /var/lib | tail -n 1))"
    [ -s "$ours/$1" ] || [ "$1" = packages.added ] || rm -f "$ours/$1"
}

update_lists() {
    step "fetching the package lists"
    in_own_session '^(W|E):' apt-get -q update || fail "apt-get update: $(tail -n 5 "$ours/output")"
}

apt_sources() { cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | grep '^deb ' | tr '\n' ';'; }

# One apt run, never cut off. Nova's services do not start while they are half configured: policy-rc.d forbids it
# (invoke-rc.d(8)); what was there before answers for all others, and is put back. Users and groups that came with the
# packages are noted.
packages_session='
ours=/var/lib/nova-infra
policy=/usr/sbin/policy-rc.d
accounts() { { sed "s/:.*//; s/^/user /" /etc/passwd; sed "s/:.*//; s/^/group /" /etc/group; } | sort; }
accounts >$ours/accounts.before
[ -e $policy.nova-infra ] || [ -e $policy.nova-infra-none ] ||
    if [ -e $policy ]; then cp -p $policy $policy.nova-infra; else : >$policy.nova-infra-none; fi
{ echo "#!/bin/sh"; echo "running=\" $nova_running \""; cat <<"POLICY"; } >$policy.new
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
chmod 755 $policy.new && mv $policy.new $policy
dpkg --force-confold --configure -a
set -- -q -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@"
if [ "$0" = one-yes ]; then echo y | apt-get "$@"; else apt-get -y "$@"; fi
code=$?
if [ -e $policy.nova-infra ]; then mv $policy.nova-infra $policy; else rm -f $policy $policy.nova-infra-none; fi
accounts | comm -13 $ours/accounts.before - | cat - $ours/packages.accounts 2>/dev/null | sort -u >$ours/packages.accounts.new &&
    mv $ours/packages.accounts.new $ours/packages.accounts
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

# What apt says behind a question that it has asked stands in the line of the question.
apt_failed() { fail "apt-get $1: $(grep -E '(^|[] ])E: |^dpkg:|error' "$ours/output" | tail -n 5)$(held_back)"; }

install_packages() {
    mkdir -p "$ours"
    wait_for_apt
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
    run_apt install --no-remove "$@" && return
    if grep -q 'Could not get lock' "$ours/output"; then
        # Another one was faster; apt before 1.9.11 does not wait by itself.
        wait_for_apt
    else
        # Lists that are older than the archive name files that are gone.
        grep -q 'Failed to fetch' "$ours/output" || apt_failed install
        update_lists
    fi
    run_apt install --no-remove "$@" || apt_failed install
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
            fail "$holder still holds apt's lock after $apt_patience s. Let it end, or end it, and run the same command again"
        sleep 1
        waited=$((waited + 1))
        [ "$((waited % beat))" -ne 0 ] || say "progress${tab}$holder still holds apt's lock"
        holder=$(apt_holder)
    done
    [ -z "$interrupted" ] || step "$interrupted"
}

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
    without $2 <"$ours/$1" >"$ours/$1.new"
    mv "$ours/$1.new" "$ours/$1" || fail "could not write $ours/$1 (disk space: $(df -Pk /var/lib | tail -n 1))"
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
status_of() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null; }

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
    grep -Fvx "$gone" "$ours/packages.accounts" >"$ours/packages.accounts.new"
    mv "$ours/packages.accounts.new" "$ours/packages.accounts"
}

# ---------------------------------------------------------------- databases

# schema, its name in a file's name, option file (user, password, way to the server). The file appears under its name only when
# it is whole, and never in the place of another. The password goes through a pipe: into no argument, no environment, no file.
# Any ~/.my.cnf is left out, and utf8mb4 loses no character (5.5's own default, utf8, would).
backups=/var/backups
dump_database() {
    client=$(command -v mysqldump || command -v mariadb-dump) ||
        fail "there is neither mysqldump nor mariadb-dump on this machine: nothing was dropped. Install MariaDB's client"
    mkdir -p "$backups"
    # What a run that was cut off has left is no dump.
    rm -f "$backups/$2"-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]Z.sql.gz.part
    dump=$backups/$2-$(date -u +%Y%m%dT%H%M%SZ).sql.gz
    # Both ends of the pipe must end well; what they complain about comes along.
    heard=$({ { printf '%s' "$3" | "$client" --defaults-file=/dev/stdin --default-character-set=utf8mb4 --max-allowed-packet=1G \
        --single-transaction --hex-blob --routines --triggers --events -- "$1" 2>&3 && echo well >&3; } |
        gzip 2>&3 >"$dump.part" && echo well >&3; } 3>&1)
    if [ "$(printf '%s\n' "$heard" | grep -cx well)" != 2 ] || ! gzip -dc "$dump.part" | tail -n 1 | grep -q '^-- Dump completed'; then
        rm -f "$dump.part"
        fail "there is no complete dump, and nothing was dropped: $(printf '%s\n' "$heard" | grep -vx well | tail -n 2) (disk space: $(df -Pk "$backups" | tail -n 1))"
    fi
    # The data is on the disk before anything is dropped. A link, other than a rename, takes nobody's place.
    sync && ln "$dump.part" "$dump" && rm -f "$dump.part" || fail "could not write $dump, and nothing was dropped (disk space: $(df -Pk "$backups" | tail -n 1))"
    say "progress$tab$dump"
}
