# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154  # dir, python, CLIENT_STEER are lib.sh's or the test's
#
# Clients as the wire tests run them: client_NAME N URL makes N requests, each on a connection of
# its own and one after the other, from namespace B, and prints how many were answered "hello".
# They know where an answer ends (Content-Length), so they close without waiting for EOF. Under
# "${CLIENT_STEER[@]}" if a test sets it.
CLIENT_STEER=()

client_curl() {
	local i file=$dir/curl.$BASHPID
	for ((i = 0; i < $1; i++)); do
		echo silent
		echo "url = \"$2\""
		echo 'header = "Connection: close"'
		echo 'max-time = 20'
		[ "$i" = $(($1 - 1)) ] || echo next
	done >"$file"
	in_ns b "${CLIENT_STEER[@]}" curl -s -K "$file" 2>>"$dir/clients.log" | grep -o hello | wc -l
}

client_wget() {
	local i urls=()
	for ((i = 0; i < $1; i++)); do
		urls+=("$2")
	done
	in_ns b "${CLIENT_STEER[@]}" wget -q -t 1 -T 20 --no-proxy --no-http-keep-alive -O - "${urls[@]}" \
		2>>"$dir/clients.log" | grep -o hello | wc -l
}

client_urllib() {
	in_ns b "${CLIENT_STEER[@]}" "$python" "$wire_dir/client.py" urllib "$1" "$2" \
		2>>"$dir/clients.log"
}

client_fetch() {
	in_ns b "${CLIENT_STEER[@]}" node "$wire_dir/fetch.mjs" "$1" "$2" 2>>"$dir/clients.log"
}

# redis: URL is http://HOST:PORT/ too, for the sake of one table
redis_place() {
	local place=${1#http://}
	place=${place%/}
	redis_host=${place%:*}
	redis_port=${place##*:}
}

# Asks the server to end it: one redis-cli for each connection.
client_redis_cli() {
	local i n=0
	redis_place "$2"
	for ((i = 0; i < $1; i++)); do
		[ "$(in_ns b "${CLIENT_STEER[@]}" redis-cli -h "$redis_host" -p "$redis_port" quit \
			2>>"$dir/clients.log")" = OK ] && n=$((n + 1))
	done
	echo "$n"
}

client_redis_python() {
	in_ns b "${CLIENT_STEER[@]}" "$python" "$wire_dir/client.py" redis "$1" "$2" \
		2>>"$dir/clients.log"
}

# Those that stay for a while once they have their answer, and show who closes unasked.
client_patient() {
	in_ns b "$python" "$wire_dir/client.py" patient "$1" "$2" 2>>"$dir/clients.log"
}

client_redis_patient() {
	in_ns b "$python" "$wire_dir/client.py" redis_patient "$1" "$2" 2>>"$dir/clients.log"
}
