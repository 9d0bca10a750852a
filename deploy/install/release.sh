# shellcheck shell=bash
# The program: a folder for each release, one for each set of libraries, one link to the one in use.

OPT=/opt/argens
CURRENT=$OPT/current
RELEASED=(manage.py pyproject.toml requirements.txt LICENSE README.md CHANGELOG.md
          pacs_common dicom_node archive_node pacs_web deploy docs)

# copy_release FOLDER: what is installed of this folder, and nothing else of it
copy_release() {
    tar -C "$SOURCE" --exclude=__pycache__ --exclude=deploy/compose/secrets --owner=root --group=root \
        -cf - "${RELEASED[@]}" | tar -C "$1" --no-same-permissions -xf -
}

# release_id: the version, and a digest of all that is installed
release_id() {
    local version digest
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$SOURCE/pyproject.toml")
    digest=$(cd "$SOURCE" && find "${RELEASED[@]}" -name __pycache__ -prune -o \
        -path deploy/compose/secrets -prune -o -type f -print0 | LC_ALL=C sort -z |
        xargs -0 sha256sum | sha256sum | cut -c1-12)
    echo "$version-$digest"
}

current_release() {
    [ ! -L $CURRENT ] || basename "$(readlink $CURRENT)"
}

refuse_other_release() {
    local now
    now=$(current_release)
    [ -z "$now" ] || [ "$now" = "$(release_id)" ] ||
        refuse "release $now is installed, this is $(release_id): give --upgrade"
}

# place_release: lay this folder beside the releases that are there, with its libraries
place_release() {
    RELEASE=$(release_id)
    step "Release $RELEASE"
    folder $OPT 0755 root:root
    folder $OPT/releases 0755 root:root
    folder $OPT/venvs 0755 root:root
    local place=$OPT/releases/$RELEASE libraries
    libraries=$OPT/venvs/$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')-$(
        sha256sum "$SOURCE/requirements.txt" | cut -c1-12)
    install_libraries "$libraries"
    [ ! -d "$place" ] || return 0
    rm -rf "$place.new"
    install -d -m 0755 "$place.new"
    copy_release "$place.new"
    chmod -R u=rwX,go=rX "$place.new"
    ln -s "$libraries" "$place.new/.venv"
    # the services may not write here: compiled once, now
    "$libraries/bin/python" -m compileall -q "$place.new" >/dev/null
    mv "$place.new" "$place"
    changed "placed $place"
}

install_libraries() {
    [ ! -e "$1/complete" ] || return 0
    echo "   installing the libraries, each checked against its hash (about a minute)"
    rm -rf "$1"
    python3 -m venv "$1"
    local from=()
    [ -z "$WHEELS" ] || from=(--no-index --find-links "$WHEELS")
    "$1/bin/python" -m pip --disable-pip-version-check install --quiet --no-input --require-hashes \
        --only-binary :all: "${from[@]}" -r "$SOURCE/requirements.txt"
    "$1/bin/python" -m compileall -q "$1/lib" >/dev/null 2>&1 || true # some hold files for other Pythons
    touch "$1/complete"
    changed "made $1"
}

# link_release: make the placed release the one in use
link_release() {
    [ "$(current_release)" != "$RELEASE" ] || return 0
    point_to "$RELEASE"
    put /usr/local/sbin/argens 0755 root:root <"$SOURCE/deploy/install/argens"
    changed "release $RELEASE is in use"
}

point_to() {
    ln -sfn "releases/$1" $CURRENT.new
    mv -T $CURRENT.new $CURRENT
}

# forget_old_releases: keep the one in use and the one before
forget_old_releases() {
    local keep=" $1 $2 " release venv
    for release in "$OPT"/releases/*; do
        [[ $keep == *" ${release##*/} "* ]] || rm -rf "$release"
    done
    for venv in "$OPT"/venvs/*; do
        find "$OPT/releases" -maxdepth 2 -name .venv -lname "$venv" | grep -q . || rm -rf "$venv"
    done
}
