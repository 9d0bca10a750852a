# shellcheck shell=bash
# What a role is told: /etc/argens/ROLE.env, written once; its secrets; whom it trusts.

ETC=/etc/argens

default_port() { # ROLE
    case $1 in
        node) echo 8101 ;;
        archive) echo 8200 ;;
        portal) echo 8000 ;;
    esac
}

# read_setting ROLE NAME: what the role's file says, or nothing
read_setting() {
    [ ! -r "$ETC/$1.env" ] || sed -n "s/^$2=//p" "$ETC/$1.env" | tail -n 1
}

# data_of ROLE: where its data lie
data_of() {
    local told
    told=$(read_setting "$1" PACS_DATA_DIR)
    echo "${told:-/var/lib/argens/$1}"
}

# set_in FILE NAME VALUE: give a setting its value; without a value, its default
set_in() {
    local sign=""
    [ -n "$3" ] || sign="#"
    (umask 077 && VALUE=$3 awk -v name="$2" -v sign="$sign" '
        index($0, name "=") == 1 || index($0, "#" name "=") == 1 {
            print sign name "=" ENVIRON["VALUE"]; found = 1; next
        }
        { print }
        END { exit !found }' "$1" >"$1.filled") || {
        rm -f "$1.filled"
        echo "this release knows no setting $2" >&2
        return 1
    }
    mv "$1.filled" "$1"
}

write_settings() { # ROLE
    step "The settings of the $1"
    if [ -e "$ETC/$1.env" ]; then
        echo "   $ETC/$1.env is there and kept: edit it to change a setting"
        return
    fi
    [ -z "$CA" ] || put $ETC/ca.pem 0644 root:root <"$CA"
    local file
    file=$(mktemp "$ETC/.$1.XXXXXX") # mode 600
    cat "$CURRENT/deploy/env/$1.env" >"$file"
    set_in "$file" PACS_HTTP_PORT "${HTTP_PORT:-$(default_port "$1")}"
    [ -z "$CA" ] || set_in "$file" PACS_CA_FILE $ETC/ca.pem
    "settings_of_$1" "$file"
    if [ "$DATA" != /var/lib/argens ]; then
        printf '\n# Where its data lie.\nPACS_DATA_DIR=%s\n' "$DATA/$1" >>"$file"
    fi
    mv "$file" "$ETC/$1.env"
    changed "wrote $ETC/$1.env"
}

settings_of_node() {
    set_in "$1" PACS_NODE_NAME "$NAME"
    set_in "$1" PACS_AE_TITLE "$AE"
    set_in "$1" PACS_DEFAULT_ISSUER "$ISSUER"
    set_in "$1" PACS_DICOM_PORT "${DICOM_PORT:-11112}"
    if [ "$ROLE" = all ]; then
        PORTAL=http://127.0.0.1:$(default_port portal)
    fi
    set_in "$1" PACS_PORTAL_URL "$PORTAL"
}

settings_of_archive() {
    if [ "$ROLE" = all ]; then
        NODES=$NAME=http://127.0.0.1:$(default_port node)
    fi
    set_in "$1" PACS_NODES "$NODES"
    set_in "$1" PACS_VAULTS "$VAULTS"
    [ "$SQLITE" = no ] || set_in "$1" PACS_BROKER_URL ""
}

settings_of_portal() {
    if [ "$ROLE" = all ]; then
        NODES=$NAME=http://127.0.0.1:$(default_port node)
        ARCHIVE=http://127.0.0.1:$(default_port archive)
    fi
    set_in "$1" PACS_NODES "$NODES"
    set_in "$1" PACS_ARCHIVE_URL "$ARCHIVE"
    set_in "$1" PACS_ALLOWED_HOSTS "$(own_name),localhost,127.0.0.1"
    has_site portal || set_in "$1" PACS_HTTPS no
}

own_name() {
    local found
    found=$(remembered host)
    [ -n "$found" ] || found=$(hostname --fqdn 2>/dev/null) || found=
    echo "${found:-localhost}"
}

# remembered NAME: what a former call was told of this machine
remembered() {
    [ ! -r $ETC/machine ] || sed -n "s/^$1=//p" $ETC/machine
}

# remember NAME VALUE: where VALUE is empty, what was remembered stays
remember() {
    [ -n "$2" ] && [ "$(remembered "$1")" != "$2" ] || return 0
    { [ ! -r $ETC/machine ] || grep -v "^$1=" $ETC/machine || true; echo "$1=$2"; } |
        put $ETC/machine 0644 root:root
}

# remember_machine: the options that later calls need not repeat
remember_machine() {
    local role
    remember host "$HOST"
    for role in $ROLES; do
        [ "$ROLE" = all ] && [ "$role" != portal ] || remember "https_port_$role" "$HTTPS_PORT"
        [ -n "$(remembered "site_$role")" ] || remember "site_$role" "$(site_asked "$role")"
    done
}

# site_asked ROLE: on one PC the portal asks node and archive over loopback: they need no site
site_asked() {
    if [ "$ROLE" = all ] && [ "$1" != portal ]; then echo no; else echo "$SITE"; fi
}

# has_site [ROLE]: whether nginx stands in front of it, or of any of the roles asked for
has_site() {
    local role site
    for role in ${1:-$ROLES}; do
        site=$(remembered "site_$role")
        [ "${site:-$(site_asked "$role")}" = no ] || return 0
    done
    return 1
}

https_port() { # ROLE
    local found
    found=$(remembered "https_port_$1")
    case $1 in
        node) echo "${found:-8443}" ;;
        archive) echo "${found:-8444}" ;;
        portal) echo "${found:-443}" ;;
    esac
}

# secret FILE: keep standard input as a secret, unless there is one
secret() {
    if [ -e "$1" ]; then
        cat >/dev/null
    else
        put "$1" 0600 root:root
    fi
}

write_secrets() { # ROLE
    step "The secrets of the $1"
    local place=$ETC/secrets/$1
    folder "$place" 0700 root:root
    od -An -N48 -tx1 /dev/urandom | tr -d ' \n' | secret "$place/secret-key"
    [ "$1" = node ] || openssl genpkey -algorithm ed25519 | secret "$place/ticket-key"
    database_url "$1" | secret "$place/database-url"
}

# take_trusted_keys: those whose tickets this machine believes
take_trusted_keys() {
    [ "${#TRUST[@]}" -gt 0 ] || return 0
    step "The keys of those whose tickets are believed"
    local file
    for file in "${TRUST[@]}"; do
        openssl pkey -pubin -in "$file" -noout
        put "/var/lib/argens/trust/${file##*/}" 0644 argens:argens <"$file"
    done
}
