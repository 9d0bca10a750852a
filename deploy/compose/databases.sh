#!/bin/sh
# Run once by the PostgreSQL image, in an empty cluster: a user and a database for each role, as its
# secret URL postgres://USER:PASSWORD@HOST/DATABASE says.
set -eu

secrets=${ARGENS_SECRETS:-/run/secrets}
for file in "$secrets"/*-database-url; do
    url=$(cat "$file")
    login=${url#postgres://}
    login=${login%%@*}
    # psql quotes what :'x' and :"x" stand for
    psql -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d postgres \
        -v name="${login%%:*}" -v password="${login#*:}" -v database="${url##*/}" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"database" OWNER :"name";
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
done
