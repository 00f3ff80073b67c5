#!/bin/sh
# One backup of Label Studio into a folder: its database (labelstudio-TIME.dump), then the files that people uploaded to it
# (labelstudio-TIME.files.tar.gz). Audio is neither: it lies in the audio folder or the cloud.
#   backup.sh FOLDER          PGHOST, PGUSER, PGPASSWORD, PGDATABASE name the database, MEDIA the folder of uploads
# Backups older than BACKUP_KEEP_DAYS days (30) are deleted, once this one is whole.
set -eu
folder=${1:?the folder for backups}
name=$folder/labelstudio-$(date -u +%Y-%m-%dT%H-%M-%SZ)
trap 'rm -f "$name.part"' EXIT

pg_dump --format=custom --no-owner --file "$name.part"
pg_restore --list "$name.part" >/dev/null
mv "$name.part" "$name.dump"
if [ -d "${MEDIA:-}" ]; then
    tar -czf "$name.part" -C "$MEDIA" --exclude ./export .
    mv "$name.part" "$name.files.tar.gz"
fi
find "$folder" -maxdepth 1 -name 'labelstudio-*' -mtime "+${BACKUP_KEEP_DAYS:-30}" -delete
echo "$name.dump"
