# Services of nova under SysV and Upstart. What upstart says is in tests/unit/upstart.yaml, each case with its source.

etc_init=/etc/init
# Seconds for an init script or job to start or stop.
service_patience=120
# Seconds after which a process is no longer one that ends as soon as it is started.
settled=6

# Sets `init` to upstart or sysv, once a script.
init=
find_init() {
    [ -z "$init" ] || return 0
    if [ -d "$etc_init" ] && initctl version 2>/dev/null | grep -q upstart; then init=upstart; else init=sysv; fi
}

# A service: running or stopped, process id, its start (clock ticks and seconds), enabled at boot, what we noted at our
# last start of it. Collects `mains` (name=process) and, of these, `young`: those that somebody else has started just now.
mains=
young=
hz=
read_service() {
    pid=$(service_pid "$1")
    note=$(service_note "$1")
    if [ -n "$pid" ]; then
        ticks=$(process_ticks "$pid")
        : "${hz:=$(getconf CLK_TCK)}"
        started=$(process_start "$ticks")
        mains="$mains $1=$pid"
        # Those that we have started are waited for.
        [ "${note%% *}" = "$ticks" ] || [ "$(($(date +%s) - started))" -ge "$settled" ] || young="$young $1=$pid"
        fact service "$1" running "$pid" "$ticks" "$started" "$(service_enabled "$1")" "$note"
    else
        fact service "$1" stopped - - 0 "$(service_enabled "$1")" "$note"
    fi
}

# Of the services that somebody else has started just now those that end again: what starts a service anew whenever it ends may
# do so for ever.
read_young() {
    tries=0
    while [ -n "$young" ] && [ "$tries" -lt "$((settled * 2))" ]; do
        sleep 0.5
        tries=$((tries + 1))
        still=
        for each in $young; do
            if [ -d "/proc/${each#*=}" ]; then still="$still $each"; else fact ended "${each%%=*}"; fi
        done
        young=$still
    done
}

# Of the services' main processes, as read_service has found them, and of processes of the same programs (these names) that are none
# of theirs: own or other, and the configuration files that their arguments name.
read_processes() {
    ps -ww -e -o pid= -o ppid= -o args= | awk -v names="$*" -v mains="$mains" -v mark="$mark" '
        BEGIN {
            OFS = "\t"
            for (i = split(names, word, " "); i > 0; i--) wanted[word[i]] = 1
            for (i = split(mains, word, " "); i > 0; i--) { split(word[i], pair, "="); main[pair[2]] = pair[1] }
        }
        {
            parent[$1] = $2
            at = 3
            # The program itself, or the script that a Python runs.
            if ($3 ~ /(^|\/)python[0-9.]*$/) for (at = 4; $at ~ /^-/; at++);
            name = $at
            sub(/.*\//, "", name)
            if ($1 in main) name = main[$1]
            else if (!(name in wanted)) next
            program[$1] = name
            for (at++; at <= NF; at++)
                if ($at ~ /^--config-(file|dir)=/) files[$1] = files[$1] OFS substr($at, index($at, "=") + 1)
                else if ($at ~ /^--config-(file|dir)$/) files[$1] = files[$1] OFS $(++at)
        }
        END {
            for (pid in program) {
                whose = "own"
                if (!(pid in main)) {
                    for (above = pid; above > 1 && !(above in main); above = parent[above]);
                    # Workers are no processes of their own.
                    if (above in main) continue
                    whose = "other"
                }
                print mark, "fact", "process", program[pid], whose, pid files[pid]
            }
        }' | without_new_mains
}

# A service may have been started between the look at it and that at all processes: then its new main process is no stray.
without_new_mains() {
    while IFS= read -r line; do
        rest=${line#*"${tab}process$tab"}
        name=${rest%%"$tab"*}
        rest=${rest#*"$tab"}
        case $rest in
            "other$tab"*) rest=${rest#*"$tab"}; if is_being_started "$name" || [ "$(service_pid "$name")" = "${rest%%"$tab"*}" ]; then continue; fi ;;
        esac
        printf '%s\n' "$line"
    done
}

# Whether upstart has started a process that it does not call the main one yet.
is_being_started() { upstart_job "$1" && case $(job_state "$1") in start/running* | stop/waiting*) false ;; esac }

service_note() { if [ -f "$ours/service.$1" ]; then cat "$ours/service.$1"; else echo -; fi; }

upstart_job() { find_init; [ "$init" = upstart ] && [ -f "$etc_init/$1.conf" ]; }

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
            # At a last line without a newline `read` says no, and has it.
            [ -s "$file" ] && { IFS= read -r pid <"$file" || [ -n "$pid" ]; } && break
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

process_ticks() { awk '{ sub(/^.*\) /, ""); print $20 }' "/proc/$1/stat" 2>/dev/null; }
process_start() { awk -v ticks="$1" -v hz="${hz:-$(getconf CLK_TCK)}" '/^btime/ { printf "%d\n", $2 + ticks / hz }' /proc/stat; }

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

# The last lines of a service's own logs, for an error message: what it wrote since its process was started, or since our last
# start of one that has ended. A line without a date belongs to the one before it. The log that was written last comes last.
read_log() {
    pid=$(service_pid "$1")
    if [ -n "$pid" ]; then ticks=$(process_ticks "$pid"); else ticks=$(service_note "$1"); fi
    since=$(($(process_start "${ticks%% *}") - 1))
    date=$(date -d "@$since" '+%Y-%m-%d %H:%M:%S')
    for file in $(ls -tr "/var/log/nova/$1.log" "/var/log/nova/$1-stderr.log" "/var/log/upstart/$1.log" 2>/dev/null); do
        [ -s "$file" ] && [ "$(stat -c %Y "$file")" -ge "$since" ] || continue
        said=$(tail -n 1000 "$file" | awk -v since="$date" '
            BEGIN { on = 1 }
            /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] / { on = ($1 " " $2 >= since) }
            on' | tail -n "$2")
        [ -z "$said" ] || fact log "$1" "$(printf '%s\n' "$said" | encoded)"
    done
    return 0
}

# name, start or stop. The daemons get none of our descriptors, neither the lock nor the channel, and the usual umask: with
# ours, QEMU could not read the disks that nova-compute makes. upstart's own `start` and `stop` wait without a limit.
run_service() {
    { true >"$ours/output.$1"; } 2>/dev/null || fail "could not write $ours/output.$1 ($(space_in "$ours"))"
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

# Services that have ended since we started them, as we did then: what they read is what it was.
start_ended() {
    for name; do
        [ -n "$(service_pid "$name")" ] || { note=$(service_note "$name"); start_service "$name" "${note#* }"; }
    done
}

# Services that read what they did before.
start_anew() {
    for name; do
        note=$(service_note "$name")
        stop_services "$name"
        start_service "$name" "${note#* }"
    done
}

# name, ticks of the moment before our start of it, the exit code of that. Upstart refuses to start what runs already; an init
# script says that all is well.
was_started_before() {
    if upstart_job "$1"; then
        [ "$3" -ne 0 ] && case $(job_state "$1") in start/*) ;; *) return 1 ;; esac
    else
        pid=$(service_pid "$1")
        [ -n "$pid" ] && ticks=$(process_ticks "$pid") && [ "${ticks:-$2}" -lt "$2" ]
    fi
}

# name, fingerprint of what it reads. Noted with the start of the process, so that the next run knows what that process read.
start_service() {
    now=$(process_ticks self)
    run_service "$1" start
    code=$?
    # Nobody knows what a process has read that somebody has started since we looked.
    if was_started_before "$1" "$now" "$code"; then
        stop_service "$1"
        run_service "$1" start
        code=$?
    fi
    [ "$code" -eq 0 ] || service_failed "$1" start "$code"
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

# name, enabled or disabled, running or stopped: a service as it was before us. One whose package somebody has removed is not there.
give_back_service() {
    upstart_job "$1" || [ -x "/etc/init.d/$1" ] || { say "progress${tab}$1 is gone; it was $2 at boot and $3 before us"; return 0; }
    set_boot "$1" "$2"
    [ "$3" = stopped ] || run_service "$1" start || service_failed "$1" start "$?"
}

# name, enabled or disabled
set_boot() {
    [ "$(service_enabled "$1")" != "$2" ] || return 0
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
    elif [ "$2" = enabled ]; then
        # Where somebody has removed all links there is nothing that it could enable.
        ls /etc/rc[0-6S].d/[SK][0-9][0-9]"$1" >/dev/null 2>&1 || update-rc.d "$1" defaults >/dev/null 2>&1
        update-rc.d "$1" enable >/dev/null 2>&1 || fail "could not make $1 $2 at boot (update-rc.d $1 enable says why)"
    else update-rc.d "$1" disable >/dev/null 2>&1 || fail "could not make $1 $2 at boot (update-rc.d $1 disable says why)"
    fi
}
