# What we write down on a node: it outlives a run that dies, and goes with the last thing that is ours.

read_note() {
    if [ -f "$ours/$1" ]; then fact note "$1" "$(encoded <"$ours/$1")"; else fact note "$1" -; fi
}

# What begins with `new.` is no note.
write_note() { { mkdir -p "$ours" && printf '%s' "$2" >"$ours/new.$1" && mv "$ours/new.$1" "$ours/$1"; } 2>/dev/null || fail "could not write $ours/$1 ($(space_in "$ours"))"; }

# Notes have a lock of their own: a resource behind this node need not wait for an apt run on it.
lock_notes() { { mkdir -p "$ours" && command exec 8>>"$ours/notes.lock"; } 2>/dev/null && flock -w 60 8 || fail "could not take the lock $ours/notes.lock (another run holds it for 60 s, or there is no room; $(space_in "$ours"))"; }

# Writes a note unless there is one already, and says what it then holds.
write_first_note() {
    lock_notes
    [ -e "$ours/$1" ] || write_note "$1" "$2"
    read_note "$1"
    exec 8>&-
}

# Adds lines to a note, of which the first that begins with a name counts.
add_lines() {
    lock_notes
    lines=$({ cat "$ours/$1" 2>/dev/null; echo; printf '%s\n' "$2"; } | awk 'NF && !seen[$1]++')
    write_note "$1" "$lines"
    exec 8>&-
}

# Takes out of a note the lines that begin with these names. Without a line the note is gone.
remove_lines() {
    lock_notes
    rest=$(lines_besides "$@")
    if [ -n "$rest" ]; then write_note "$1" "$rest"; else rm -f "$ours/$1"; fi
    exec 8>&-
}

# The lines of a note that begin with other names than these.
lines_besides() {
    note=$1; shift
    [ ! -f "$ours/$note" ] || awk -v names="$*" 'BEGIN { split(names, each, " "); for (i in each) ours[each[i]] } NF && !($1 in ours)' "$ours/$note"
}

remove_notes() {
    lock_notes
    for name; do rm -f "$ours/$name"; done
    find "$ours/original" -depth -type d -empty -exec rmdir {} \; 2>/dev/null
    # Nothing of ours stays on the node, unless another run is about to write here.
    if [ -z "$(ls -A "$ours" | grep -Evx 'lock|notes\.lock|output.*|new\..*')" ]; then
        (: >&9) 2>/dev/null || command exec 9>>"$ours/lock"
        ! flock -n 9 || rm -rf "$ours"
    fi
    exec 8>&-
}
