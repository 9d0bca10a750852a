# shellcheck shell=bash
# What is asked for, and whether it makes sense.

ACTION=install
ROLE=
ROLES=
NAME=
AE=
ISSUER=
PORTAL=
NODES=
ARCHIVE=
HOST=
VAULTS=
DICOM_PORT=
HTTP_PORT=
HTTPS_PORT=
DATA=/var/lib/argens
DATABASE_URL_FILE=
TLS_CERT=
TLS_KEY=
CA=
WHEELS=
ROOT=
SQLITE=no
SITE=yes
START=yes
PURGE=no
TRUST=()
ALLOW=()

usage() {
    cat <<'TEXT'
install.sh ROLE [OPTIONS]      ROLE: node, archive, portal, or all (of them on this PC)

What the role is:
  --name NAME             a node's name, like CT (without it: from --ae)
  --ae TITLE              a node's AE title (without it: ARGENS_ and the name)
  --issuer NAME           issuer of Patient ID, the same on all nodes of a hospital
  --host NAME             this machine's name in addresses and its certificate (else: hostname -f)
  --portal URL            node: the portal that is asked about people's tokens
  --nodes NAME=URL,...    archive, portal: the nodes
  --archive URL           portal: the archive
  --vaults TEXT           archive: PACS_VAULTS (docs/vaults.md)
  --dicom-port N          node: 11112
  --http-port N           loopback: 8101 node, 8200 archive, 8000 portal
  --https-port N          nginx: 8443 node, 8444 archive, 443 portal
  --allow ADDRESS         node, archive: who may call over HTTPS (portal, archive); repeatable
  --trust FILE            portal.pub.pem, archive.pub.pem: whose tickets are believed; repeatable
  --tls-cert FILE --tls-key FILE   certificate of nginx (else one is made, signed by itself)
  --ca FILE               authorities that vouch for the other roles' HTTPS
  --no-nginx              no site: HTTP stays on loopback

Where things are kept:
  --data DIR              instead of /var/lib/argens
  --sqlite                no PostgreSQL and Redis: the embedded database and queue
  --database-url-file FILE  a PostgreSQL elsewhere (one role only)
  --wheels DIR            the libraries from a folder, without a network

What is done:
  --upgrade               to the release of this folder; back to the old one where that fails
  --uninstall             take the role away; data, settings and database stay
  --purge-data            with --uninstall: data, settings and database too, after a question
  --no-start              start nothing
  --root DIR              install into a Debian folder (chroot): starts nothing; other paths are
                          those in there
TEXT
}

read_options() {
    while [ $# -gt 0 ]; do
        case $1 in
            -h | --help) usage && exit 0 ;;
            --upgrade) ACTION=upgrade ;;
            --uninstall) ACTION=uninstall ;;
            --purge-data) PURGE=yes ;;
            --sqlite) SQLITE=yes ;;
            --no-nginx) SITE=no ;;
            --no-start) START=no ;;
            --name | --ae | --issuer | --portal | --nodes | --archive | --host | --vaults | \
                --dicom-port | --http-port | --https-port | --data | --database-url-file | \
                --tls-cert | --tls-key | --ca | --wheels | --root | --trust | --allow)
                [ $# -gt 1 ] || refuse "$1 wants a value"
                take_value "$1" "$2"
                shift
                ;;
            -*) refuse "there is no option $1 (--help lists them)" ;;
            *)
                [ -z "$ROLE" ] || refuse "one role at a time: $ROLE or $1"
                ROLE=$1
                ;;
        esac
        shift
    done
}

take_value() {
    case $2 in
        *[[:cntrl:]]*) refuse "$1: a value of one line is wanted" ;;
    esac
    case $1 in
        --name) NAME=$2 ;;
        --ae) AE=$2 ;;
        --issuer) ISSUER=$2 ;;
        --portal) PORTAL=$2 ;;
        --nodes) NODES=$2 ;;
        --archive) ARCHIVE=$2 ;;
        --host) HOST=$2 ;;
        --vaults) VAULTS=$2 ;;
        --dicom-port) DICOM_PORT=$2 ;;
        --http-port) HTTP_PORT=$2 ;;
        --https-port) HTTPS_PORT=$2 ;;
        --data) DATA=$2 ;;
        --database-url-file) DATABASE_URL_FILE=$2 ;;
        --tls-cert) TLS_CERT=$2 ;;
        --tls-key) TLS_KEY=$2 ;;
        --ca) CA=$2 ;;
        --wheels) WHEELS=$2 ;;
        --root) ROOT=$2 ;;
        --trust) TRUST+=("$2") ;;
        --allow) ALLOW+=("$2") ;;
    esac
}

check_options() {
    case $ROLE in
        node | archive | portal) ROLES=$ROLE ;;
        all) ROLES="node archive portal" ;;
        "") refuse "say which role: node, archive, portal or all (--help tells more)" ;;
        *) refuse "there is no role '$ROLE': node, archive, portal or all" ;;
    esac
    [ "$PURGE" = no ] || [ "$ACTION" = uninstall ] || refuse "--purge-data goes with --uninstall"
    check_names
    check_ports
    check_addresses
    check_files
}

check_names() {
    local name='^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$'
    if [ -n "$AE" ]; then
        # PS3.5 6.2: at most 16 characters, no backslash; a space inside is more trouble than it is worth
        [[ $AE =~ ^[]!-[^-~]{1,16}$ ]] ||
            refuse "--ae: '$AE' is not an AE title (1 to 16 characters, no backslash, no space)"
        NAME=${NAME:-${AE#ARGENS_}}
    fi
    [ -n "$NAME" ] || ask_name
    [[ $NAME =~ $name ]] || refuse "--name: '$NAME' is not letters, digits, _ and - (at most 32)"
    AE=${AE:-ARGENS_$NAME}
    [ "${#AE}" -le 16 ] || refuse "--ae is wanted: ARGENS_$NAME is longer than 16 characters"
    [ -z "$HOST" ] || [[ $HOST =~ ^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$ ]] ||
        refuse "--host: '$HOST' is not a host name"
}

# ask_name: a new node must be called something; everything else has a default
ask_name() {
    NAME=NODE
    [ "$ACTION" = install ] && [[ " $ROLES " == *" node "* ]] && [ ! -e "${ROOT%/}/etc/argens/node.env" ] || return 0
    [ -t 0 ] || refuse "what is the node called? Give --name (like CT) or --ae (like ARGENS_CT)"
    read -rp "The node's name, like CT: " NAME
    [ -n "$ISSUER" ] || read -rp "The issuer of Patient ID, the same on all nodes of the hospital: " ISSUER
}

check_ports() {
    local port
    for port in "$DICOM_PORT" "$HTTP_PORT" "$HTTPS_PORT"; do
        [ -z "$port" ] || { [[ $port =~ ^[0-9]{1,5}$ ]] && [ "$port" -ge 1 ] && [ "$port" -le 65535 ]; } ||
            refuse "'$port' is not a port (1 to 65535)"
    done
    [ "$ROLE" != all ] || [ -z "$HTTP_PORT" ] || refuse "--http-port is for one role, not for all"
}

check_addresses() {
    local url one
    for url in "$PORTAL" "$ARCHIVE"; do
        [ -z "$url" ] || [[ $url =~ ^https?://[^[:space:]]+$ ]] || refuse "'$url' is no http(s) address"
    done
    for one in ${NODES//,/ }; do
        [[ $one =~ ^[A-Za-z0-9][A-Za-z0-9_-]*=https?://[^[:space:]]+$ ]] ||
            refuse "--nodes: '$one' is not NAME=http(s)://..."
    done
    for one in "${ALLOW[@]}"; do
        [[ $one =~ ^[0-9a-fA-F.:/]+$ ]] || refuse "--allow: '$one' is no address or network"
    done
}

check_files() {
    local file
    [[ $DATA == /* && $DATA != / && $DATA != *[[:space:]]* ]] ||
        refuse "--data: '$DATA' is not the full path of a folder (without spaces)"
    [ -z "$ROOT" ] || [ -d "$ROOT" ] || refuse "--root: there is no folder '$ROOT'"
    { [ -n "$TLS_CERT" ] && [ -n "$TLS_KEY" ]; } || [ -z "$TLS_CERT$TLS_KEY" ] ||
        refuse "--tls-cert and --tls-key go together"
    [ "$SQLITE" = no ] || [ -z "$DATABASE_URL_FILE" ] || refuse "--sqlite or --database-url-file, not both"
    [ "$ROLE" != all ] || [ -z "$DATABASE_URL_FILE" ] || refuse "--database-url-file is for one role"
    [ -n "$ROOT" ] && return
    for file in "$DATABASE_URL_FILE" "$TLS_CERT" "$TLS_KEY" "$CA" "${TRUST[@]}"; do
        [ -z "$file" ] || [ -r "$file" ] || refuse "cannot read '$file'"
    done
    [ -z "$WHEELS" ] || [ -d "$WHEELS" ] || refuse "--wheels: there is no folder '$WHEELS'"
    for file in "${TRUST[@]}"; do
        case ${file##*/} in
            portal.pub.pem | archive.pub.pem) ;;
            *) refuse "--trust: '$file' is not called portal.pub.pem or archive.pub.pem" ;;
        esac
    done
}
