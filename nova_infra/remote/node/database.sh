# Nova's schema and its dumps.

# The version of the database schema (or `unknown`; 0: empty), and the newest migration that the installed packages bring (0: not known).
# nova-manage gives an empty schema the number before its first migration (INIT_VERSION, 215 in Juno). Where nova.conf names no server it takes
# SQLite and makes the file by asking for its version: there it is not asked.
nova_conf=/etc/nova/nova.conf
read_schema() {
    if ! names_a_database_server "$nova_conf"; then
        version=unknown
    elif ! version=$(su -s /bin/sh -c 'timeout --foreground -k 5 60 nova-manage db version' nova 2>/dev/null </dev/null); then
        version=unknown
    fi
    version=$(printf '%s\n' "$version" | grep -Ex '[0-9]+|unknown' | tail -n 1)
    migrations=$(for package in python-nova nova-common; do dpkg -L "$package" 2>/dev/null; done |
        sed -n 's#^.*/nova/db/sqlalchemy/migrate_repo/versions/0*\([0-9][0-9]*\)_[^/]*\.py$#\1#p' | sort -n)
    newest=$(printf '%s\n' "$migrations" | tail -n 1)
    oldest=$(printf '%s\n' "$migrations" | head -n 1)
    case $version in *[!0-9]* | '') ;; *) [ "$version" -ge "${oldest:-0}" ] || version=0 ;; esac
    fact schema "${version:-unknown}" "${newest:-0}"
}

# Whether a file of options has a connection in [database], and not to a file of SQLite.
names_a_database_server() {
    awk '
        /^\[/ { here = /^\[database\]/ }
        here && /^connection[ \t]*[=:][ \t]*[^ \t\r]/ { named = 1 }
        here && /^connection[ \t]*[=:][ \t"\047]*sqlite/ { named = 0; exit }
        END { exit !named }
    ' "$1" 2>/dev/null
}

sync_database() {
    in_own_session 'x^' su -s /bin/sh -c 'nova-manage db sync' nova ||
        fail "the schema is not up to date: $(last_words) (more: /var/log/nova/nova-manage.log)"
}

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
        fail "there is no complete dump, and nothing was dropped: $(printf '%s\n' "$heard" | grep -vx well | tail -n 2) ($(space_in "$backups"))"
    fi
    # The data is on the disk before anything is dropped. A link, other than a rename, takes nobody's place.
    sync && ln "$dump.part" "$dump" && rm -f "$dump.part" || fail "could not write $dump, and nothing was dropped ($(space_in "$backups"))"
    say "progress$tab$dump"
}
