#!/bin/sh
# Generates the secrets of docker-compose.yml, once: deploy/secrets/, which only its owner may enter. Existing files are kept,
# so the script may be run again. The containers run as other users and read the files themselves, hence 0444 in a directory of mode 0700.
set -eu
umask 077
dir=${1:-$(dirname "$0")/secrets}
mkdir -p "$dir"
chmod 0700 "$dir"

random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

put() { # NAME: write stdin to it, unless it exists; complete or not at all
  if [ -e "$dir/$1" ]; then cat >/dev/null; echo "kept  $dir/$1"; return; fi
  cat >"$dir/.$1.new"
  chmod 0444 "$dir/.$1.new"
  mv "$dir/.$1.new" "$dir/$1"
  echo "made  $dir/$1"
}

# The address of a server contains its password, so it is made from the stored password.
random | put postgres_password
printf 'postgresql://ringfence:%s@postgres:5432/ringfence' "$(cat "$dir/postgres_password")" | put ringfence_books

random | put clickhouse_password
password=$(cat "$dir/clickhouse_password")
printf 'http://ringfence:%s@clickhouse:8123' "$password" | put ringfence_warehouse
put clickhouse_users.xml <<XML
<clickhouse>
  <users>
    <default remove="remove"/>
    <ringfence>
      <password_sha256_hex>$(printf %s "$password" | sha256sum | cut -d' ' -f1)</password_sha256_hex>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </ringfence>
  </users>
</clickhouse>
XML

printf 'kafka://kafka:9092?replication=1' | put ringfence_journal
