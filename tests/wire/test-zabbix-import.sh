#!/bin/bash
# SPDX-License-Identifier: MIT
# The Zabbix template is imported by Zabbix' own frontend, twice: into a database of its own, in a network
# namespace of its own. Only in `make check-long`: the frontend and its database are large.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

frontend=/usr/share/zabbix sql=/usr/share/zabbix-server-pgsql
bin=$(find /usr/lib/postgresql -name bin -type d 2>/dev/null | sort -V | tail -n1)

wire_init
[ -z "$wire_plain" ] || skip_all "there is no template without closeside"
[ -e $frontend/api_jsonrpc.php ] && [ -e $sql/schema.sql.gz ] || skip_all "Zabbix' frontend is not installed"
have php && have psql && [ -x "$bin/initdb" ] || skip_all "php or postgresql is not installed"

as_postgres() {
	setpriv --reuid postgres --regid postgres --clear-groups -- "$@"
}
query() {
	in_ns a psql -q -h "$dir/db" -U postgres "$@"
}
mkdir "$dir/db" && chown postgres "$dir/db"
as_postgres "$bin/initdb" -D "$dir/db/data" -A trust -E UTF8 --locale=C.UTF-8 >"$dir/initdb.log" 2>&1
start a postgres setpriv --reuid postgres --regid postgres --clear-groups -- \
	"$bin/postgres" -D "$dir/db/data" -k "$dir/db" -c listen_addresses=127.0.0.1 -c fsync=off
is_up() {
	query -c 'select 1' postgres >/dev/null 2>&1
}
check "a database" wait_for 30 is_up
query -c 'create database zabbix' postgres
for part in schema images data; do
	zcat $sql/$part.sql.gz | query zabbix
done >"$dir/sql.log" 2>&1
is "" "$(grep ERROR "$dir/sql.log")" "Zabbix' tables"

# A copy of the frontend, with a config of ours.
cp -rL $frontend "$dir/frontend" 2>/dev/null
sed -i "s|'/etc/zabbix/zabbix.conf.php'|'$dir/frontend/conf/zabbix.conf.php'|" \
	"$dir/frontend/include/classes/core/CConfigFile.php"
cat >"$dir/frontend/conf/zabbix.conf.php" <<'END'
<?php
$DB = ['TYPE' => 'POSTGRESQL', 'SERVER' => '127.0.0.1', 'PORT' => '5432', 'DATABASE' => 'zabbix',
	'USER' => 'postgres', 'PASSWORD' => '', 'SCHEMA' => '', 'ENCRYPTION' => false, 'KEY_FILE' => '',
	'CERT_FILE' => '', 'CA_FILE' => '', 'VERIFY_HOST' => false, 'CIPHER_LIST' => '', 'VAULT_URL' => '',
	'VAULT_DB_PATH' => '', 'VAULT_TOKEN' => '', 'DOUBLE_IEEE754' => true];
$IMAGE_FORMAT_DEFAULT = IMAGE_FORMAT_PNG;
END
start_listening a frontend 8080 php -d memory_limit=512M -d post_max_size=32M -S 127.0.0.1:8080 -t "$dir/frontend" ||
	not_ok "the frontend serves"

# call METHOD PARAMS: the result, or the error; with $auth, once there is one
auth=null
call() {
	jq -n --arg method "$1" --argjson params "$2" --argjson auth "$auth" \
		'{jsonrpc: "2.0", id: 1, method: $method, params: $params, auth: $auth}' |
		in_ns a curl -s -m 120 -H 'Content-Type: application/json-rpc' -d @- \
			http://127.0.0.1:8080/api_jsonrpc.php | jq -c 'if .error then .error else .result end'
}
auth=$(call user.login '{"username": "Admin", "password": "zabbix"}')
note "Zabbix $(auth=null call apiinfo.version '[]')"

rules=$(jq -n '{createMissing: true, updateExisting: true} as $all | {groups: $all, templates: $all, items: $all,
	discoveryRules: $all, triggers: $all, valueMaps: $all}')
template=$top_srcdir/conf/zabbix/template_closeside.yaml
import=$(jq -n --argjson rules "$rules" --rawfile source "$template" '{format: "yaml", rules: $rules, source: $source}')
is true "$(call configuration.import "$import")" "the template is imported"
is true "$(call configuration.import "$import")" "... and again"

# count KEY: how many there are in the file
count() {
	"$python" -c 'import sys, yaml
template = yaml.safe_load(open(sys.argv[1]))["zabbix_export"]["templates"][0]
items = template["items"]
print({"items": len(items), "rules": len(template["discovery_rules"]),
       "prototypes": sum(len(rule["item_prototypes"]) for rule in template["discovery_rules"])}[sys.argv[2]])' \
		"$template" "$1"
}
found=$(call template.get '{"filter": {"host": "closeside"}, "selectItems": "count", "selectTriggers": "count"}')
note "$found"
is "$(count items)" "$(jq -r '.[0].items' <<<"$found")" "all of its items are there"
at_least 12 "$(jq -r '.[0].triggers' <<<"$found")" "... triggers"
rule=$(call discoveryrule.get "$(jq -c '{templateids: [.[0].templateid], selectItems: "count"}' <<<"$found")")
is "$(count rules)/$(count prototypes)" "$(jq -r '"\(length)/\(.[0].items)"' <<<"$rule")" \
	"... and the discovery of programs, with its prototypes"
finish
