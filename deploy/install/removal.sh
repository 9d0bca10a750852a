# shellcheck shell=bash
# Taking a role away, and what is told at the end of an installation.

remove_roles() {
    [ "$PURGE" = no ] || confirm_purge
    local role service
    for role in $ROLES; do
        step "Taking the $role away"
        for service in $(services_of "$role"); do
            [ -e "$UNITS/$service" ] || continue
            ! systemd_runs || systemctl stop "$service"
            systemctl --quiet disable "$service"
            rm -rf "${UNITS:?}/$service" "${UNITS:?}/$service.d"
            changed "removed $service"
        done
        remove_backup_timer "$role"
        rm -f "$SITES/$role.site.conf"
        [ "$PURGE" = no ] || purge "$role"
    done
    [ -n "$(installed_roles)" ] || remove_program
    if systemd_runs; then
        systemctl daemon-reload
        [ ! -e /etc/nginx/nginx.conf ] || systemctl reload-or-restart nginx
    fi
    tell_end
    [ "$PURGE" = yes ] || echo "   kept: $ETC, $DATA, the databases; install.sh brings the role back with them"
}

# remove_backup_timer ROLE: its backups stay
remove_backup_timer() {
    [ -e "$UNITS/argens-backup@.timer" ] || return 0
    ! systemd_runs || systemctl stop "argens-backup@$1.timer" "argens-backup@$1.service"
    systemctl --quiet disable "argens-backup@$1.timer"
    rm -rf "$UNITS/argens-backup@$1.service.d"
    changed "removed argens-backup@$1.timer"
}

remove_program() {
    step "Taking the program away"
    [ ! -e $UNITS/argens.target ] || systemctl --quiet disable argens.target
    rm -rf $UNITS/argens-.service.d $UNITS/argens-backup@.* $UNITS/argens.target /usr/local/sbin/argens /etc/nginx/conf.d/argens.conf
    [ ! -d $OPT ] || changed "removed $OPT"
    rm -rf $OPT
}

confirm_purge() {
    local wanted answer
    wanted="delete the $ROLE of $(hostname)"
    cat <<TEXT
--purge-data deletes for ever, here and now: the images, database, settings and keys of: $ROLES
What the archive has not copied is lost. To go on, type: $wanted
TEXT
    read -r answer || answer=
    [ "$answer" = "$wanted" ] || refuse "that was not typed: nothing was removed"
}

purge() { # ROLE
    local data url backups
    data=$(data_of "$1")
    backups=$(backups_of "$1")
    url=$(cat "$ETC/secrets/$1/database-url" 2>/dev/null || true)
    case $url in
        "$OWN_DATABASE"*)
            as_postgres "DROP DATABASE IF EXISTS ${url##*/}" >/dev/null
            changed "dropped the database ${url##*/}"
            ;;
    esac
    rm -rf "${data:?}" "$ETC/$1.env" "$ETC/secrets/$1"
    changed "deleted $data and the settings; kept: the backups in $backups"
}

tell_next_steps() {
    local role
    echo
    for role in $ROLES; do "next_steps_of_$role"; done
    echo "Settings are in $ETC/*.env; after a change: systemctl restart argens.target"
}

next_steps_of_node() {
    local here
    here=https://$(own_name):$(https_port node)
    cat <<TEXT
The node $(read_setting node PACS_NODE_NAME) takes images as $(read_setting node PACS_AE_TITLE), port $(read_setting node PACS_DICOM_PORT).
  1. Let the modality in:    argens node peers add CT1 --address 10.0.0.7 --may echo,store,commit
TEXT
    [ "$ROLE" != all ] || return 0
    cat <<TEXT
  2. Let it believe portal and archive: bring portal.pub.pem and archive.pub.pem of their
     /var/lib/argens/trust here, and: install.sh node --trust portal.pub.pem --trust archive.pub.pem
  3. Let them call:          install.sh node --allow PORTAL'S ADDRESS --allow ARCHIVE'S ADDRESS
  4. At the portal, /admin-console/: add the server $(read_setting node PACS_NODE_NAME), $here
     and in the archive's PACS_NODES: $(read_setting node PACS_NODE_NAME)=$here
TEXT
}

next_steps_of_archive() {
    if [ -z "$(read_setting archive PACS_VAULTS)" ]; then
        cat <<TEXT
The archive writes to a virtual library on its own disk: name a real vault in PACS_VAULTS (docs/vaults.md).
TEXT
    fi
    [ "$ROLE" != all ] || return 0
    cat <<TEXT
The archive signs tickets: bring /var/lib/argens/trust/archive.pub.pem to each node (install.sh node --trust),
and the portal's portal.pub.pem here (install.sh archive --trust portal.pub.pem).
TEXT
}

next_steps_of_portal() {
    cat <<TEXT
The portal is https://$(own_name)/. Its first person:   argens portal create-account NAME --group it
TEXT
    [ "$ROLE" != all ] || return 0
    cat <<TEXT
It signs tickets: bring /var/lib/argens/trust/portal.pub.pem to the archive and to each node
(install.sh ROLE --trust portal.pub.pem).
TEXT
}
