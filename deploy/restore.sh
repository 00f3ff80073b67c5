#!/bin/sh
# Puts a backup in the database's place, while Label Studio is stopped. What the database held is kept under the name that is
# printed at the end. Where anything fails, the database stays as it was.
#   restore.sh FOLDER/labelstudio-TIME.dump          the variables of backup.sh
set -eu
dump=${1:?the .dump file of a backup}
files=${dump%.dump}.files.tar.gz
now=$(date -u +%Y%m%d%H%M%S)
new=${PGDATABASE}_new_$now
old=${PGDATABASE}_before_$now

createdb --template template0 --encoding UTF8 "$new"
trap 'dropdb --if-exists "$new"' EXIT
pg_restore --exit-on-error --single-transaction --no-owner --dbname "$new" "$dump"
# Both or neither. PostgreSQL refuses while anybody is connected to the old one.
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --single-transaction --dbname postgres \
    --command "ALTER DATABASE \"$PGDATABASE\" RENAME TO \"$old\"" \
    --command "ALTER DATABASE \"$new\" RENAME TO \"$PGDATABASE\""
if [ -f "$files" ]; then tar -xzf "$files" -C "${MEDIA:?the folder of uploads}"; fi
echo "restored $dump; what was there before is in the database $old"
