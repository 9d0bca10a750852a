#!/bin/bash
# Makes a role of Argens of a bare Debian PC, upgrades it, takes it away again.
#
#   deploy/install.sh node --ae ARGENS_CT --issuer HOSPITAL --portal https://portal.hospital
#
# `deploy/install.sh --help` lists the options. Whatever is there already is kept; after a failure,
# the same command goes on where it stopped.
set -Eeuo pipefail
shopt -s lastpipe # what a pipe ends in may count its changes

SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in steps options machine release settings database site services upgrade removal; do
    # shellcheck source=/dev/null
    . "$SOURCE/deploy/install/$part.sh"
done

read_options "$@"
check_options
check_machine
if [ -n "$ROOT" ]; then
    install_into_folder "$@"
    exit
fi

trap 'failed_at $?' ERR
case $ACTION in
    uninstall)
        remove_roles
        ;;
    upgrade)
        upgrade_roles
        tell_end
        ;;
    install)
        refuse_other_release
        install_packages
        make_user
        remember_machine
        place_release
        link_release
        for role in $ROLES; do
            write_settings "$role"
            write_secrets "$role"
            make_database "$role"
        done
        take_trusted_keys
        write_units
        write_sites
        start_roles
        tell_end
        tell_next_steps
        ;;
esac
