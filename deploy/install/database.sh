# shellcheck shell=bash
# The role's database: its address, its making, its backup before an upgrade and the way back.

BACKUPS=/var/backups/argens
declare -A BACKED_UP=() # role -> the backup that was made before its upgrade
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

# backups_of ROLE: the folder of its backups, each night's and those before upgrades
backups_of() {
    local told
    told=$(read_setting "$1" PACS_BACKUP_DIR)
    echo "${told:-$BACKUPS/$1}"
}

# make_backup_folder ROLE: no role but itself reads there, for the backups hold its secrets
make_backup_folder() {
    folder $BACKUPS 0750 root:argens
    chown root:argens $BACKUPS # a former release had it for root alone
    chmod 0750 $BACKUPS
    folder "$(backups_of "$1")" 0700 argens:argens
}

# back_up ROLE: by the release that is in use, which can also put it back
back_up() {
    local told
    make_backup_folder "$1"
    told=$(/usr/local/sbin/argens "$1" backup "$(backups_of "$1")")
    BACKED_UP[$1]=${told%%: *}
    changed "backed up into ${BACKED_UP[$1]}"
}

# put_back ROLE: its database as it was before the upgrade
put_back() {
    /usr/local/sbin/argens "$1" restore "${BACKED_UP[$1]}" --replace "the upgrade to $RELEASE failed"
}
