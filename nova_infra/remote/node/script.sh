# How a script on a node lives: what it says and to whom, when it ends, what it waits for, what must not be cut off. This file
# comes first; ahead of it stands `mark`, the word that begins each line meant for us. The other files of this folder are the
# functions by subject. Behind them stand the calls of one operation, with quoted arguments.
# `command exec` and `true >`: a redirection that fails would end the shell at `exec` and at `:`, before it has said anything.
# Needs only what Ubuntu 14.04's base system has: dash, coreutils, util-linux, dpkg, apt, awk.

umask 077
LC_ALL=C; export LC_ALL
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH
DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND
# Under sudo they may be a desktop's; the init system is meant, not a user's session.
unset UPSTART_SESSION UPSTART_JOB UPSTART_INSTANCE
# With colours grep's answers would not be what they are.
unset GREP_OPTIONS CDPATH
# What stands before this on standard error is the login's.
printf '%s\n' "$mark" >&2
ours=/var/lib/nova-infra
# Seconds until a wait says again what it waits for.
beat=15
current=
tab='	'

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

# One operation at a time on a node. Whoever had to wait has read the machine too early, and is told to begin again.
lock() {
    { mkdir -p "$ours" && command exec 9>>"$ours/lock"; } 2>/dev/null || fail "could not write $ours/lock ($(space_in "$ours"))"
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
    { true >"$ours/output"; } 2>/dev/null || fail "could not write $ours/output ($(space_in "$ours"))"
    # Other programs get the usual umask; ours is for our own files.
    umask 022
    setsid "$@" >"$ours/output" 2>&1 </dev/null 8>&- &
    child=$!
    umask 077
    seen=0
    quiet=0
    while :; do
        if kill -0 "$child" 2>/dev/null; then alive=yes; else alive=; fi
        count=$(wc -l <"$ours/output")
        if [ "$count" -gt "$seen" ]; then
            lines=$(sed -n "$((seen + 1)),${count}p" "$ours/output" | grep -E "$shown" | without_logins) && [ -n "$lines" ] && quiet=0 &&
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

# A source of apt may hold the login of who may read it, and apt names it where it is not fetched.
without_logins() { sed 's#://[^/@ ]*@#://#g'; }

# The last line of a command's output that says something: not blank, not the inside of a Python traceback.
last_words() { grep -v -e '^$' -e '^[[:space:]]' -e '^Traceback ' "$ours/output" 2>/dev/null | tail -n 1 | tr '\t' ' ' | without_logins; }
