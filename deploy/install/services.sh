# shellcheck shell=bash
# systemd's units, starting and stopping.

UNITS=/etc/systemd/system
SHARED_UNITS=(argens-.service.d/confined.conf argens.target argens-backup@.service
              argens-backup@.service.d/once.conf argens-backup@.timer)
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

# backup_units KIND: those of the roles, timer or service; none where the release has none yet
backup_units() {
    local role
    [ -e "$UNITS/argens-backup@.timer" ] || return 0
    for role in $ROLES; do echo "argens-backup@$role.$1"; done | tr '\n' ' '
}

systemd_runs() {
    [ "$START" = yes ] && [ -d /run/systemd/system ]
}

write_units() {
    step "systemd's units"
    local from=$CURRENT/deploy/systemd service role unit before=$CHANGES
    for unit in "${SHARED_UNITS[@]}"; do
        if [ -e "$from/$unit" ]; then
            folder "$(dirname "$UNITS/$unit")" 0755 root:root
            put "$UNITS/$unit" 0644 root:root <"$from/$unit"
        else # the release that an upgrade goes back to may not have it
            rm -f "$UNITS/$unit"
        fi
    done
    for role in $ROLES; do
        make_backup_folder "$role"
        own_part "$role" "argens-backup@$role.service"
        for service in $(services_of "$role"); do
            put "$UNITS/$service" 0644 root:root <"$from/$service"
            own_part "$role" "$service"
        done
    done
    ! systemd_runs || [ "$CHANGES" = "$before" ] || systemctl daemon-reload
    # shellcheck disable=SC2046 # names without spaces
    systemctl --quiet enable argens.target $(all_services) $(backup_units timer)
}

# own_part ROLE SERVICE: what this machine's settings ask of the unit
own_part() {
    local data place text="" port backups
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
    backups=$(backups_of "$1")
    if [[ $2 == argens-backup@* ]] && [ "$backups" != "$BACKUPS/$1" ]; then
        text+="ReadWritePaths=$backups"$'\n'
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
    systemctl start argens.target $(all_services) $(backup_units timer)
    local role
    for role in $ROLES; do wait_ready "$role"; done
}

stop_roles() {
    # shellcheck disable=SC2046
    ! systemd_runs || systemctl stop $(backup_units timer) $(backup_units service) $(all_services)
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
