# shellcheck shell=bash
# What is said while it works: steps, changes, failures.

STEP="the start"
CHANGES=0

# step TEXT: what comes now
step() {
    STEP=$1
    echo "== $1"
}

# changed TEXT: something is now otherwise than before
changed() {
    CHANGES=$((CHANGES + 1))
    echo "   $1"
}

# refuse TEXT: nothing was done, and why
refuse() {
    echo "install.sh: $1" >&2
    exit 2
}

failed_at() {
    trap - ERR
    [ "$BASH_SUBSHELL" -eq 0 ] || exit "$1" # the shell above tells it
    echo "install.sh: failed at: $STEP (exit status $1). What is above says why." >&2
    echo "install.sh: mend that and give the same command again: what is done is kept." >&2
    exit 1
}

tell_end() {
    case $CHANGES in
        0) echo "== Nothing was to be changed." ;;
        1) echo "== 1 change." ;;
        *) echo "== $CHANGES changes." ;;
    esac
}

# put TARGET MODE OWNER: make the file of standard input, unless it is the same already
put() {
    local target=$1 mode=$2 owner=$3 new=$1.argens-new
    (umask 077 && cat >"$new")
    if cmp -s "$new" "$target"; then
        rm "$new"
        return
    fi
    chown "$owner" "$new"
    chmod "$mode" "$new"
    mv "$new" "$target"
    changed "wrote $target"
}

# folder PATH MODE OWNER: make a folder, unless it is there
folder() {
    if [ ! -d "$1" ]; then
        install -d -m "$2" -o "${3%:*}" -g "${3#*:}" "$1"
        changed "made $1"
    fi
}
