# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Big servers with real work, plainly and steered: what their clients get is the same, and nine tenths
# of what the server closes first is handed over.
# shellcheck source=tests/shim/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# shellcheck disable=SC2034 # for the tests
count=30

# served NAME AT-LEAST START WORK STOP: three functions; WORK prints what clients saw
served() {
	local name=$1 want=$2 mode before
	shift 2
	for mode in plain watch peer none; do
		plain
		if [ "$mode" != plain ]; then
			steer cases "${case_options[$mode]}"
			read -ra before < <(case_counts)
		fi
		case_want=$want
		[ "$mode" = peer ] || case_want=0
		if ! "$1"; then
			not_ok "$name, $mode: it starts"
		else
			"$2" >"$dir/$mode.out" 2>&1
		fi
		"$3"
		[ "$mode" != plain ] || continue
		if ! cmp -s "$dir/plain.out" "$dir/$mode.out"; then
			not_ok "$name, $mode: the same for its clients" \
				"$(diff "$dir/plain.out" "$dir/$mode.out" | head -n 20)"
		elif ! wait_for 20 case_active "${before[@]}"; then
			not_ok "$name, $mode: and the shim was at work" "$case_seen, wanted $case_want"
		else
			ok "$name, $mode: the same for its clients; $case_seen"
		fi
	done
	note "$name, plain: $(sort "$dir/plain.out" | uniq -c | head -n 4 | tr '\n' ';')"
}

# gets PORT: what its clients get: each reads the answer to its end, is in no hurry, and closes
gets() {
	in_ns a timeout 60 "$python" - "$1" $((count / 3)) <<-'END'
		import http.client, socket, sys, time
		for n in range(int(sys.argv[2])):
		    try:
		        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20) as sock:
		            sock.sendall(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % (n + 1))
		            response = http.client.HTTPResponse(sock)
		            response.begin()
		            print(response.status, response.read())
		            time.sleep(0.02)
		    except OSError as error:
		        print(error)
	END
}
