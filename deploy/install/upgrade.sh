# shellcheck shell=bash
# To another release; where that fails, back to the one before, with the databases as they were.

MIGRATED=() # roles whose database may have changed

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
    trap 'roll_back 130' INT TERM HUP
    local role
    step "Stopping ${ROLES% }"
    stop_roles
    for role in $ROLES; do
        step "A backup of the $role"
        back_up "$role"
    done
    step "From release $OLD to $RELEASE"
    link_release
    for role in $ROLES; do
        step "The database of the $role"
        MIGRATED+=("$role")
        /usr/local/sbin/argens "$role" migrate --noinput -v 0
    done
    write_units
    write_sites
    start_roles
    trap 'failed_at $?' ERR
    trap - INT TERM HUP
    forget_old_releases "$RELEASE" "$OLD"
}

roll_back() {
    trap - ERR INT TERM HUP
    [ "$BASH_SUBSHELL" -eq 0 ] || exit "$1" # the shell above tells it
    set +e
    local failed="the upgrade to $RELEASE failed at: $STEP (exit status $1)" role lost=() whole=()
    echo "install.sh: $failed. Going back to $OLD." >&2
    stop_roles
    point_to "$OLD"
    put /usr/local/sbin/argens 0755 root:root <"$CURRENT/deploy/install/argens"
    for role in "${MIGRATED[@]}"; do
        step "The database of the $role, as it was"
        put_back "$role" || lost+=("$role")
    done
    for role in $ROLES; do
        [[ " ${lost[*]} " == *" $role "* ]] || whole+=("$role")
    done
    write_units
    write_sites
    ROLES=${whole[*]}
    start_roles || failed+="; not all of its roles are ready"
    tell_rolled_back "$failed"
    exit 1
}

# tell_rolled_back FAILED: in one line what happened and where the backups are
tell_rolled_back() {
    local databases="the databases were not touched" role
    [ "${#MIGRATED[@]}" = 0 ] || databases="so are the databases of before"
    for role in "${lost[@]}"; do
        echo "install.sh: the database of the $role could not be put back, so it stays stopped. Mend that, then:" \
            "argens $role restore ${BACKED_UP[$role]} --replace 'failed upgrade'; systemctl start $(services_of "$role")" >&2
        databases="the databases of before are back but for: ${lost[*]}"
    done
    echo "install.sh: $1: release $OLD is in use again, $databases" \
        "(backups: ${BACKED_UP[*]:-none}); nothing of the images was touched." >&2
}
