# shellcheck shell=bash
# The PC: whether it fits, its packages, the user that the roles run as.

check_machine() {
    [ "$(id -u)" -eq 0 ] || refuse "only root can install: sudo $0 ..."
    local release=${ROOT%/}/etc/os-release id version
    [ -r "$release" ] || refuse "this is no Debian 12 or 13: there is no $release"
    id=$(sed -n 's/^ID=//p' "$release" | tr -d '"')
    version=$(sed -n 's/^VERSION_ID=//p' "$release" | tr -d '"')
    case $id/$version in
        debian/12 | debian/13) ;;
        *) refuse "this is $id $version: Argens is installed on Debian 12 or 13" ;;
    esac
    [ -f "$SOURCE/manage.py" ] || refuse "$SOURCE is no release of Argens: there is no manage.py"
    if [ -n "$ROOT" ] && [ "$SQLITE" = no ] && [ -z "$DATABASE_URL_FILE" ] && [ "$ACTION" = install ]; then
        refuse "--root starts nothing, so no PostgreSQL either: give --sqlite or --database-url-file"
    fi
}

# install_into_folder ARGUMENTS: the same script, in the folder, with this release laid there
install_into_folder() {
    local place copy argument skip=no arguments=()
    for argument in "$@"; do
        if [ "$skip" = yes ]; then
            skip=no
        elif [ "$argument" = --root ]; then
            skip=yes
        else
            arguments+=("$argument")
        fi
    done
    place=$(mktemp -d "${ROOT%/}/var/tmp/argens-source.XXXXXX")
    copy=${place#"${ROOT%/}"}
    copy_release "$place"
    # what a package would start in there is not started
    local policy=${ROOT%/}/usr/sbin/policy-rc.d own_policy=no status=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        own_policy=yes
    fi
    chroot "$ROOT" /usr/bin/env LC_ALL=C.UTF-8 bash "$copy/deploy/install.sh" --no-start \
        "${arguments[@]}" || status=$?
    [ "$own_policy" = no ] || rm -f "$policy"
    rm -rf "$place"
    return "$status"
}

is_installed() {
    [ "$(dpkg-query -W -f='${Status}' "$1" 2>/dev/null)" = "install ok installed" ]
}

# local_postgresql: whether one of the roles has its database here; what is installed counts first
local_postgresql() {
    local role file
    for role in $ROLES; do
        file=$ETC/secrets/$role/database-url
        if [ -e "$file" ]; then
            ! grep -q "^$OWN_DATABASE" "$file" || return 0
        elif [ "$SQLITE" = no ] && [ -z "$DATABASE_URL_FILE" ]; then
            return 0
        fi
    done
    return 1
}

# foreign_postgresql: whether one has it elsewhere: its backups want PostgreSQL's own programs
foreign_postgresql() {
    local role file
    for role in $ROLES; do
        file=$ETC/secrets/$role/database-url
        [ -e "$file" ] || file=$DATABASE_URL_FILE
        [ -z "$file" ] || grep -q "^$OWN_DATABASE" "$file" || ! grep -q "^postgres" "$file" || return 0
    done
    return 1
}

# wants_redis: for the archive's queue; the portal's cache does without (docs/operations.md says what
# whoever writes to that one may do)
wants_redis() {
    [[ " $ROLES " == *" archive "* ]] || return 1
    if [ -e "$ETC/archive.env" ]; then
        grep -q '^PACS_BROKER_URL=redis://127.0.0.1' "$ETC/archive.env"
    else
        [ "$SQLITE" = no ]
    fi
}

install_packages() {
    step "Debian's packages"
    local wanted=(ca-certificates openssl python3 python3-venv systemd tzdata) missing=() package
    ! has_site || wanted+=(nginx-light)
    ! local_postgresql || wanted+=(postgresql)
    ! foreign_postgresql || wanted+=(postgresql-client)
    ! wants_redis || wanted+=(redis-server)
    for package in "${wanted[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
        >/var/log/argens-packages.log 2>&1 || {
        tail -5 /var/log/argens-packages.log >&2
        return 1
    }
    changed "installed ${missing[*]}"
    case " ${missing[*]} " in
        *" nginx-light "*) rm -f /etc/nginx/sites-enabled/default ;; # its welcome page, on port 80
    esac
}

make_user() {
    step "The user argens, its folders"
    if ! getent passwd argens >/dev/null; then
        useradd --system --user-group --no-create-home --home-dir /var/lib/argens \
            --shell /usr/sbin/nologin argens
        changed "made the user argens"
    fi
    folder /etc/argens 0755 root:root
    folder /etc/argens/secrets 0700 root:root
    folder /var/lib/argens 0755 root:root
    folder "$DATA" 0755 root:root
    folder /var/lib/argens/trust 0750 argens:argens
    local role
    for role in $ROLES; do
        folder "$DATA/$role" 0750 argens:argens
    done
}
