# shellcheck shell=bash
# systemd's units, starting and stopping, upgrading.

UNITS=/etc/systemd/system
READY_S=180

services_of() { # ROLE
    case $1 in
        node | portal) echo "argens-$1.service" ;;
        archive) echo "argens-archive-http.service argens-archive-worker.service argens-archive-beat.service" ;;
    esac
}

all_services() {
    local role
    for role in $ROLES; do services_of "$role"; done | tr '\n' ' '
}

systemd_runs() {
    [ "$START" = yes ] && [ -d /run/systemd/system ]
}

write_units() {
    step "systemd's units"
    local from=$CURRENT/deploy/systemd service role before=$CHANGES
    folder $UNITS/argens-.service.d 0755 root:root
    put $UNITS/argens-.service.d/confined.conf 0644 root:root <"$from/argens-.service.d/confined.conf"
    put $UNITS/argens.target 0644 root:root <"$from/argens.target"
    for role in $ROLES; do
        for service in $(services_of "$role"); do
            put "$UNITS/$service" 0644 root:root <"$from/$service"
            own_part "$role" "$service"
        done
    done
    ! systemd_runs || [ "$CHANGES" = "$before" ] || systemctl daemon-reload
    # shellcheck disable=SC2046 # names without spaces
    systemctl --quiet enable argens.target $(all_services)
}

# own_part ROLE SERVICE: what this machine's settings ask of the unit
own_part() {
    local data place text="" port
    data=$(data_of "$1")
    [ "$data" = "/var/lib/argens/$1" ] || text+="ReadWritePaths=$data"$'\n'
    if [ "$1" = archive ]; then
        for place in $(vault_folders); do
            folder "$place" 0750 argens:argens
            text+="ReadWritePaths=$place"$'\n'
        done
    fi
    port=$(read_setting "$1" PACS_DICOM_PORT)
    if [ -n "$port" ] && [ "$port" -lt 1024 ]; then
        text+="CapabilityBoundingSet=CAP_NET_BIND_SERVICE"$'\n'"AmbientCapabilities=CAP_NET_BIND_SERVICE"$'\n'
    fi
    [ -n "$text" ] || return 0
    folder "$UNITS/$2.d" 0755 root:root
    printf '# Made by install.sh of /etc/argens/%s.env.\n[Service]\n%s' "$1" "$text" |
        put "$UNITS/$2.d/machine.conf" 0644 root:root
}

# vault_folders: the folders among the archive's vaults
vault_folders() {
    read_setting archive PACS_VAULTS | tr ',' '\n' | sed -n 's/^[^=]*=\(disk\|tape\):\(\/[^?]*\).*/\2/p'
}

start_roles() {
    step "Starting"
    if ! systemd_runs; then
        echo "   nothing is started here: systemctl start argens.target"
        return
    fi
    # shellcheck disable=SC2046
    systemctl start argens.target $(all_services)
    local role
    for role in $ROLES; do wait_ready "$role"; done
}

stop_roles() {
    # shellcheck disable=SC2046
    ! systemd_runs || systemctl stop $(all_services)
}

wait_ready() { # ROLE
    local until=$((SECONDS + READY_S)) why
    while ! why=$(PACS_HTTP_PORT=$(read_setting "$1" PACS_HTTP_PORT) \
        PACS_ALLOWED_HOSTS=$(read_setting "$1" PACS_ALLOWED_HOSTS) \
        "$CURRENT/.venv/bin/python" "$CURRENT/deploy/healthy.py" 2>&1); do
        if [ "$SECONDS" -gt "$until" ]; then
            echo "the $1 is not ready: $why (journalctl -u $(services_of "$1"))" >&2
            return 1
        fi
        sleep 1
    done
    echo "   the $1 is ready"
}

installed_roles() {
    local role
    for role in node archive portal; do
        # shellcheck disable=SC2046
        [ ! -e "$UNITS/$(set -- $(services_of $role) && echo "$1")" ] || echo "$role"
    done
}

upgrade_roles() {
    OLD=$(current_release)
    [ -n "$OLD" ] || refuse "nothing is installed here: install first"
    ROLES=$(installed_roles | tr '\n' ' ') # they share one program
    install_packages
    place_release
    if [ "$OLD" = "$RELEASE" ]; then
        echo "   it is in use already"
        return
    fi
    trap 'roll_back $?' ERR
    local role
    step "Stopping ${ROLES% }"
    stop_roles
    for role in $ROLES; do
        step "The database of the $role"
        back_up_database "$role"
    done
    step "From release $OLD to $RELEASE"
    link_release
    for role in $ROLES; do
        /usr/local/sbin/argens "$role" migrate --noinput -v 0
    done
    write_units
    write_sites
    start_roles
    trap 'failed_at $?' ERR
    forget_old_releases "$RELEASE" "$OLD"
}

roll_back() {
    trap - ERR
    [ "$BASH_SUBSHELL" -eq 0 ] || exit "$1" # the shell above tells it
    set +e
    local failed=$STEP
    echo "install.sh: the upgrade failed at: $failed (exit status $1). Going back to $OLD." >&2
    stop_roles
    point_to "$OLD"
    write_units
    start_roles
    echo "install.sh: release $OLD is in use again; nothing of the images was touched." >&2
    echo "install.sh: should it not get ready, the databases of before are in $BACKUPS (docs/installation.md)." >&2
    exit 1
}
