#!/bin/bash
# SPDX-License-Identifier: MIT
# Unmodified servers and clients: with close-first = peer the client's FIN goes out first and no
# TIME_WAIT is left at the server, in at least 99 of 100 connections of each pair. The same
# servers plainly, before, show that it would be otherwise without.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/servers.sh
. "$(dirname "$0")/servers.sh"
# shellcheck source=tests/wire/clients.sh
. "$(dirname "$0")/clients.sh"

count=${WIRE_COUNT:-100}
plain_count=20

# server, the program it is, who else it needs
servers='nginx apache haproxy python node jdk socat redis'
declare -A program=([nginx]=nginx [apache]=apache2 [haproxy]=haproxy [python]=$python [node]=node
	[jdk]=java [socat]=socat [redis]=redis-server)
declare -A tool=([curl]=curl [wget]=wget [urllib]=$python [fetch]=node [redis_cli]=redis-cli
	[redis_python]=$python)

clients_of() {
	if [ "$1" = redis ]; then echo redis_cli redis_python; else echo curl wget urllib fetch; fi
}

# cell SERVER CLIENT PORT N: sets cell_good, cell_peer, cell_first_a, cell_tw, cell_conns
cell() {
	local conns=$dir/cell.conns
	cell_good=$("client_$2" "$4" "http://$A4:$3/")
	capture_section a cell "$4"
	cell_conns=$(wc -l <"$conns")
	cell_peer=$(conns_count "$conns" 'first == "b" && kind == "FIN" && rst_a + rst_b == 0')
	cell_first_a=$(conns_count "$conns" 'first == "a"')
	cell_rst=$(conns_count "$conns" 'rst_a + rst_b > 0')
	cell_tw=$(time_wait_among a "$conns")
}

# Each server twice: plainly on port, steered on port + 100.
start_servers() {
	local server port=$1
	for server in $servers; do
		port=$((port + 1))
		have "${program[$server]}" || continue
		"server_$server" "$port" || failed[$server]=1
	done
}

declare -A failed=() plain_first=()

wire_init
capture_start a

plain
start_servers 8000
port=8000
for server in $servers; do
	port=$((port + 1))
	have "${program[$server]}" || continue
	# one in no hurry: where both are about to close, the race would decide
	client=patient
	[ "$server" != redis ] || client=redis_patient
	[ -z "${failed[$server]:-}" ] || continue
	cell "$server" "$client" "$port" "$plain_count"
	plain_first[$server]="$cell_first_a/$cell_conns"
	note "plain: $server, $client: the server first in $cell_first_a of $cell_conns," \
		"answered $cell_good, TIME_WAIT at the server $cell_tw"
	at_least $((plain_count - 1)) "$cell_first_a" "plain: $server closes first"
done

daemon_start a <<-END
	policy half-closing-servers {
	  role = server
	  program = {apache2, haproxy, "python3*", node, java, socat}
	  close-first = peer
	  half-close = defer
	  grace = 2s
	  grace-learn = no
	}
	policy servers {
	  role = server
	  close-first = peer
	  grace = 2s
	  grace-learn = no
	}
END
steer a
start_servers 8100

port=8100
for server in $servers; do
	port=$((port + 1))
	row=
	for client in $(clients_of "$server"); do
		name="$server, $client: the peer's FIN first, no TIME_WAIT at the server"
		for need in "${program[$server]}" "${tool[$client]}"; do
			have "$need" || {
				skip "$name" "$need is not installed"
				continue 2
			}
		done
		if [ -n "${failed[$server]:-}" ]; then
			not_ok "$name" "the server did not start"
			continue
		fi
		cell "$server" "$client" "$port" "$count"
		row="$row $client $cell_peer/$cell_conns"
		note "$server, $client: answered $cell_good of $count; peer's FIN first $cell_peer," \
			"server first $cell_first_a, with RST $cell_rst, TIME_WAIT at the server $cell_tw"
		if [ "$cell_good" = "$count" ] && [ "$cell_peer" -ge $((count * 99 / 100)) ] &&
			[ "$cell_tw" -le $((count / 100)) ]; then
			ok "$name"
		else
			not_ok "$name" "not handed over, so far: $(ctl a status not_handed_over)"
			note "$(awk '$3 != "b"' "$dir/cell.conns" | head -n3)"
		fi
	done
	matrix="${matrix:-}$(printf '%-8s plain %-6s %s' "$server" "${plain_first[$server]:--}" "$row")
"
done
note "first closer is the peer, of $count:"
note "$matrix"
finish
