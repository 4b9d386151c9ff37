# shellcheck shell=bash
# Sourced by the scripts of this folder: how they say what they do, and how they run long commands.
# Everything is said on standard error; standard output belongs to a script's answer.

# begin TEXT: says that a long step starts. finished: that it is done, and how long it took.
begin() {
    step_started=$SECONDS
    printf '==> %s\n' "$1" >&2
}

finished() {
    printf '    done in %s s\n' "$((SECONDS - step_started))" >&2
}

# note TEXT: one line that is no step of its own.
note() {
    printf '    %s\n' "$1" >&2
}

# fail SENTENCE: stops here.
fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

# run_logged LOG COMMAND...: runs the command with its output in LOG, and returns its exit code. The command gets a
# session of its own, so that all of it ends when this script is interrupted: bash alone would leave its
# grandchildren at work.
running=
run_logged() {
    local log=$1 code=0
    shift
    setsid "$@" >"$log" 2>&1 </dev/null &
    running=$!
    wait "$running" || code=$?
    running=
    return "$code"
}

# install_with_apt LOG PACKAGE...: as root, or with sudo where that asks for nothing.
install_with_apt() {
    local log=$1 as_root=()
    shift
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    local get=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600)
    # A list that is older than the mirror names files that are gone: fetch it anew, once.
    run_logged "$log" "${get[@]}" --no-install-recommends install "$@" ||
        { run_logged "$log" "${get[@]}" update && run_logged "$log" "${get[@]}" --no-install-recommends install "$@"; }
}

# last_line LOG: the last one that says something.
last_line() {
    grep '[^[:space:]]' "$1" | tail -n 1
}

# stop_running: ends what run_logged started; for a trap on EXIT.
stop_running() {
    if [ -n "$running" ]; then
        kill -TERM -- "-$running" 2>/dev/null || true
        wait "$running" 2>/dev/null || true
        running=
    fi
}

# exit_on_signals: makes the usual signals leave through the trap on EXIT.
exit_on_signals() {
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# take_lock FILE WHAT: waits until no other run works on WHAT. The lock is held until this script ends; FILE is only
# opened, never written, so a script can be its own lock.
take_lock() {
    exec 9<"$1"
    if ! flock -n 9; then
        note "waiting for another run that is busy with $2"
        flock 9
    fi
}
