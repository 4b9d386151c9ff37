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

# Puts a file whole into its place: path, and the call that makes it as `./new`. Whoever owns the folder, as nova does some of its own, can
# put a link wherever root is about to write, also between two commands. So it is made in a folder of root's own there, which is entered
# before anything is made: what becomes of its name then is nothing to us. Where that fails it stays, so that the room that is left there can be
# told.
place() {
    (
        place=$1; shift
        own=$(mktemp -d "${place%/*}/.nova-infra.XXXXXX") && cd -P "$own" || exit 1
        # With the setgid bit of the folder around it, 2700.
        case $(stat -c '%u %a' .)$(ls -A) in "$(id -u) 700" | "$(id -u) 2700") ;; *) echo "somebody has put something else in the place of $own" >&2; exit 1 ;; esac
        "$@" && mv -T new "$place" || exit 1
        cd / && rmdir "$own" 2>/dev/null
        exit 0
    )
}

# What a run that failed or was cut off has left of its own there.
clear_place() { rm -rf "${1%/*}"/.nova-infra.??????; }

# Makes `./new`: owner, group, mode, content.
make_file() { printf '%s' "$4" >new && chown "$1:$2" new && chmod "$3" new; }

# Makes `./new` of what is kept.
make_original() {
    if [ -L "$1" ]; then cp -P "$1" new; return; fi
    read -r owner mode ids <"$1.owner" && cp "$1" new &&
        # The account may be gone with its package; its number is what the file had.
        { chown "$owner" new 2>/dev/null || chown "$ids" new; } && chmod "$mode" new && touch -r "$1" new
}

# Keeps a file as it was before us, once, so that it can be put back. The copy is for root only, as the file may hold passwords;
# its owner and mode stand beside it. A link is kept as a link: cp -P takes no other file for the one that it has seen, nor what a link there
# names, and owner and mode are those of the copy.
keep_original() {
    kept=$ours/original$1
    [ -e "$kept" ] || [ -L "$kept" ] || [ -e "$kept.absent" ] && return 0
    mkdir -p "${kept%/*}"
    copy=$ours/new.original
    rm -f "$copy"
    if [ -f "$1" ] || [ -L "$1" ]; then
        cp -pP "$1" "$copy" && { [ -L "$copy" ] || keep_owner "$copy" "$kept.owner"; } && mv -T "$copy" "$kept"
    else true >"$kept.absent"
    fi || fail "could not keep a copy of $1 in $ours ($(space_in "$ours"))"
}

keep_owner() {
    stat -c '%U:%G %a %u:%g' "$1" >"$2" && chmod 600 "$1" && chown "$(id -u):$(id -g)" "$1"
}

put_back_original() {
    kept=$ours/original$1
    clear_place "$1"
    [ -e "$kept" ] || [ -L "$kept" ] || [ -e "$kept.absent" ] || return 0
    if [ ! -d "${1%/*}" ]; then
        say "progress${tab}$1 cannot be put back: its directory is gone; it is kept as $kept"
        return 0
    fi
    if [ -e "$kept.absent" ]; then rm -f "$1"
    else place "$1" make_original "$kept"
    fi || {
        room=$(space_in "${1%/*}")
        clear_place "$1"
        fail "could not put $1 back (it is kept as $kept; $room)"
    }
    rm -f "$kept" "$kept.owner" "$kept.absent"
}

# path, owner, group, mode, content. The file is whole at any time, and never readable by others.
put_file() {
    keep_original "$1"
    clear_place "$1"
    path=$1; shift
    said=$(place "$path" make_file "$@" 2>&1) || {
        room=$(space_in "${path%/*}")
        clear_place "$path"
        fail "could not write $path: $(printf '%s\n' "$said" | sed 's/^sh: [0-9]*: //; $!d') ($room)"
    }
}

# What goes is kept too: somebody may have put something into it.
remove_file() { keep_original "$1" && rm -f "$1" || fail "could not remove $1 (look at its directory: ls -ld ${1%/*})"; }
