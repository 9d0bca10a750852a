#!/bin/sh
# Makes what deploy/compose.yaml takes from files: passwords, keys, database addresses, and a
# self-signed certificate for a trial. What is there already is kept.
#
#   sh deploy/compose/make-secrets.sh [HOST NAME OF THE PORTAL]
set -eu

cd "$(dirname "$0")"
host=${1:-localhost}
umask 077
mkdir -p secrets
chmod 711 secrets

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# make NAME OWNER: keep standard input as a secret that only the container's user reads
make() {
    if [ -e "secrets/$1" ]; then
        cat >/dev/null
        return
    fi
    cat >"secrets/.$1"
    chmod 400 "secrets/.$1"
    if [ "$(id -u)" -eq 0 ]; then chown "$2" "secrets/.$1"; fi
    mv "secrets/.$1" "secrets/$1"
    echo "made secrets/$1"
}

random | make postgres-password 999
for role in portal archive node-ct node-rf node-cr; do
    name=argens_$(echo "$role" | tr - _)
    random | make "$role-secret-key" 10001
    # read by the role, and once by PostgreSQL's first start: its group
    echo "postgres://$name:$(random)@postgres:5432/$name" | make "$role-database-url" 10001:999
    chmod 440 "secrets/$role-database-url"
done
for role in portal archive; do
    openssl genpkey -algorithm ed25519 | make "$role-ticket-key" 10001
done
if [ ! -e secrets/tls-key ]; then
    openssl req -x509 -newkey rsa:3072 -nodes -days 90 -subj "/CN=$host" \
        -addext "subjectAltName=DNS:$host" -keyout secrets/.key -out secrets/.certificate 2>/dev/null
    make tls-certificate 101 <secrets/.certificate
    make tls-key 101 <secrets/.key
    rm -f secrets/.key secrets/.certificate
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "not root: the containers' users cannot read these; chown them to 999, 10001 and 101" >&2
fi
