# Configuration files: read, written whole, kept as they were before us, put back.

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

# What a folder has room for, as a part of a sentence: `0 of 64 kB free on /var`.
space_in() {
    if [ ! -d "$1" ]; then printf 'there is no folder %s' "$1"; return 0; fi
    df -Pk "$1" 2>/dev/null | awk 'NR == 2 { printf "%d of %d kB free on %s", $4, $2, $6 }'
    df -Pi "$1" 2>/dev/null | awk 'NR == 2 && $2 > 0 && $4 == 0 { printf ", no inode left" }'
    [ -w "$1" ] || printf ', and %s cannot be written' "$1"
}

# Keeps a file as it was before us, once, so that it can be put back. The copy is for root only, as the file may hold passwords;
# its owner and mode stand beside it. A link is kept as a link.
keep_original() {
    kept=$ours/original$1
    [ -e "$kept" ] || [ -L "$kept" ] || [ -e "$kept.absent" ] && return 0
    mkdir -p "${kept%/*}"
    if [ -L "$1" ]; then cp -P "$1" "$kept"
    elif [ -f "$1" ]; then
        stat -c '%U:%G %a %u:%g' "$1" >"$kept.owner" && cp "$1" "$kept.new" && chmod 600 "$kept.new" &&
            touch -r "$1" "$kept.new" && mv "$kept.new" "$kept"
    else : >"$kept.absent"
    fi || fail "could not keep a copy of $1 in $ours ($(space_in "$ours"))"
}

put_back_original() {
    kept=$ours/original$1
    [ -e "$kept" ] || [ -L "$kept" ] || [ -e "$kept.absent" ] || { rm -f "$1.nova-infra"; return 0; }
    if [ ! -d "${1%/*}" ]; then
        say "progress${tab}$1 cannot be put back: its directory is gone; it is kept as $kept"
        return 0
    fi
    rm -f "$1.nova-infra"
    if [ -e "$kept.absent" ]; then rm -f "$1"
    elif [ -L "$kept" ]; then cp -P "$kept" "$1.nova-infra" && mv -T "$1.nova-infra" "$1"
    else
        read -r owner mode ids <"$kept.owner" && cp "$kept" "$1.nova-infra" &&
            # The account may be gone with its package; its number is what the file had.
            { chown "$owner" "$1.nova-infra" 2>/dev/null || chown "$ids" "$1.nova-infra"; } &&
            chmod "$mode" "$1.nova-infra" && touch -r "$kept" "$1.nova-infra" && mv -T "$1.nova-infra" "$1"
    fi || fail "could not put $1 back (it is kept as $kept; $(space_in "${1%/*}"))"
    rm -f "$kept" "$kept.owner" "$kept.absent" "$kept.new"
}

# path, owner, group, mode, content. The file is whole at any time, and never readable by others: the temporary one is new (-C),
# nothing that somebody else has put there.
put_file() {
    keep_original "$1"
    rm -f "$1.nova-infra"
    said=$( {
        (set -C && printf '%s' "$5" >"$1.nova-infra") && chown -h "$2:$3" "$1.nova-infra" && chmod "$4" "$1.nova-infra" &&
            mv -T "$1.nova-infra" "$1"
    } 2>&1) || {
        room=$(space_in "${1%/*}")
        rm -f "$1.nova-infra"
        fail "could not write $1: $(printf '%s\n' "$said" | sed 's/^sh: [0-9]*: //; $!d') ($room)"
    }
}

set_owner_and_mode() {
    keep_original "$1"
    chown "$2:$3" "$1" && chmod "$4" "$1" || fail "could not set owner and mode of $1 (wanted: $2:$3, $4)"
}

# What goes is kept too: somebody may have put something into it.
remove_file() { keep_original "$1" && rm -f "$1" || fail "could not remove $1 (look at its directory: ls -ld ${1%/*})"; }
