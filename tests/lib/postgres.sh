# tests/lib/postgres.sh - a PostgreSQL cluster of a test's own, on a unix socket in its folder.
#
#     pg_init FOLDER        make it, in FOLDER/pg, as an unprivileged user; sets $pg_url
#     pg_start, pg_stop     start it; stop it at once, as a crash would (what was committed stays)
#     pg_sql TEXT           what a statement answers
# Its server ends with pg_stop only: see to it that that is called.
pg_bin=$(for dir in /usr/lib/postgresql/*/bin; do echo "$dir"; done | sort -V | tail -1)

# PostgreSQL refuses to run as root. nobody is everywhere, and owns nothing.
pg_as() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all env -C "$pg_dir" "$@"
    else
        env -C "$pg_dir" "$@"
    fi
}

# fsync off: the machine is not what goes down in a test.
pg_init() {
    pg_dir=$1/pg
    pg_url="postgresql:///postgres?host=$pg_dir&user=xeno"
    [ -x "$pg_bin/initdb" ] || return 1
    install -d -m 0711 "$pg_dir" # a daemon that dropped its capabilities passes, too
    [ "$(id -u)" -ne 0 ] || chown 65534:65534 "$pg_dir"
    pg_as "$pg_bin/initdb" -D "$pg_dir/data" -U xeno -A trust -E UTF8 --locale=C --no-sync >"$pg_dir/log.init" 2>&1 || return 1
    printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$pg_dir'" 'fsync = off' \
        'shared_buffers = 16MB' 'max_connections = 40' >>"$pg_dir/data/postgresql.conf"
}

# The descriptors of whoever calls are not the server's: one left open would keep a pipe alive.
pg_start() { pg_as "$pg_bin/pg_ctl" -D "$pg_dir/data" -l "$pg_dir/log" -w -t 60 start >/dev/null 2>&1 3>&- 4>&-; }
pg_stop() { pg_as "$pg_bin/pg_ctl" -D "$pg_dir/data" -m immediate -w -t 60 stop >/dev/null 2>&1; }
pg_sql() { "$pg_bin/psql" -X -q -A -t -d "$pg_url" -c "$1"; }
