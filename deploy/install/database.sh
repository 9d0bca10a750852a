# shellcheck shell=bash
# The role's database: its address, its making, a copy of it before an upgrade.

BACKUPS=/var/backups/argens
# by the socket PostgreSQL knows who asks: no password to keep
OWN_DATABASE=postgres://argens@%2Fvar%2Frun%2Fpostgresql/

database_url() { # ROLE
    local file
    if [ -n "$DATABASE_URL_FILE" ]; then
        cat "$DATABASE_URL_FILE"
    elif [ "$SQLITE" = yes ]; then
        case $1 in
            node) file=index ;;
            *) file=$1 ;;
        esac
        echo "sqlite:///$DATA/$1/$file.sqlite3"
    else
        echo "${OWN_DATABASE}argens_$1"
    fi
}

as_postgres() {
    (cd / && runuser -u postgres -- psql -X -A -t -v ON_ERROR_STOP=1 -d postgres -c "$1")
}

make_database() { # ROLE
    case $(cat "$ETC/secrets/$1/database-url") in
        "$OWN_DATABASE"*) ;;
        *) return 0 ;;
    esac
    step "The database of the $1"
    if [ "$START" = yes ] && [ -d /run/systemd/system ]; then
        systemctl start postgresql
    fi
    if [ -z "$(as_postgres "SELECT 1 FROM pg_roles WHERE rolname = 'argens'")" ]; then
        as_postgres "CREATE ROLE argens LOGIN" >/dev/null
        changed "made PostgreSQL's user argens"
    fi
    if [ -z "$(as_postgres "SELECT 1 FROM pg_database WHERE datname = 'argens_$1'")" ]; then
        as_postgres "CREATE DATABASE argens_$1 OWNER argens ENCODING 'UTF8' TEMPLATE template0" >/dev/null
        changed "made the database argens_$1"
    fi
}

# back_up_database ROLE: a copy beside the machine's other backups, for whoever has to go back
back_up_database() {
    local url copy
    url=$(cat "$ETC/secrets/$1/database-url")
    folder $BACKUPS 0700 root:root
    copy=$BACKUPS/$1-$(current_release)-$(date -u +%Y%m%dT%H%M%SZ)
    case $url in
        sqlite:///*) back_up_sqlite "$1" "${url#sqlite:///}" "$copy.sqlite3" ;;
        *) back_up_postgresql "$copy.dump" ;;
    esac
}

back_up_sqlite() { # ROLE FILE COPY
    [ -e "$2" ] || return 0
    local made
    made=$(data_of "$1")/.database-copy
    rm -f "$made"
    (cd / && runuser -u argens -- python3 - "$2" "$made" <<'PYTHON')
import sqlite3, sys
source, target = (sqlite3.connect(name) for name in sys.argv[1:])
source.backup(target)
target.close()
source.close()
PYTHON
    (umask 077 && cat "$made" >"$3")
    rm -f "$made"
    changed "copied the database to $3"
}

back_up_postgresql() { # COPY, of the database $url
    if ! command -v pg_dump >/dev/null; then
        echo "   no copy of the database: pg_dump is not here (apt install postgresql-client)"
        return 0
    fi
    # the address, its password with it, goes by the environment: arguments are seen by all
    (umask 077 && cd / && DATABASE_URL=$url runuser -u argens -- python3 -c '
import os
from urllib.parse import unquote, urlsplit
url = urlsplit(os.environ.pop("DATABASE_URL"))
host, _, port = url.netloc.rpartition("@")[2].partition(":")
told = {"PGHOST": unquote(host), "PGPORT": port, "PGUSER": unquote(url.username or ""),
        "PGPASSWORD": unquote(url.password or ""), "PGDATABASE": unquote(url.path[1:])}
os.environ.update({name: value for name, value in told.items() if value})
os.execvp("pg_dump", ["pg_dump", "--format=custom"])' >"$1")
    changed "copied the database to $1"
}
