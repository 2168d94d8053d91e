#!/bin/bash
# SPDX-License-Identifier: MIT
# The balance sheet of another network namespace than the daemon's: seen and set there through the
# guardian, and put back; and without its capability, only the daemon's own, said once.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"

limit=200

tune() {
	in_ns a "$closeside" -s "$dir/a.socket" tune "$@"
}

# rows JQ: of a fresh sheet
rows() {
	tune show -f jsonl 2>/dev/null | jq -r "$1"
}

level_is() {
	[ "$(rows "select(.type == \"resource\" and .id == \"$buckets\") | .level")" = "$1" ]
}

key_is() {
	[ "$(rows "select(.type == \"key\" and .netns == $b_inode and .key == \"$key\") | .state")" = "$1" ]
}

wire_init
if [ -n "$wire_plain" ] || ! in_ns b true || [ "$(id -u)" != 0 ]; then
	skip_all "it takes the daemon, and CAP_SYS_ADMIN"
fi
key=net.ipv4.tcp_max_tw_buckets
b_inode=$(in_ns b stat -Lc %i /proc/self/ns/net)
buckets=time-wait-buckets@$b_inode
in_ns b sysctl -qw $key=$limit
before=$(in_ns a sysctl -n $key)
daemon_start a <<<'limits { namespaces = 64 }'

# A server in B that closes first, once more than its limit permits.
start b server "$python" "$wire_dir/actor.py" serve 8101 line send:100 close
wait_for 20 listening b 8101
check "the namespace is looked into" wait_for 20 level_is fine
in_ns a timeout 60 "$python" "$wire_dir/actor.py" connect "$B4" 8101 $((limit * 3 / 2)) text:hello eof close >/dev/null
check "over its limit" wait_for 20 level_is over
is "$b_inode" "$(rows "select(.id == \"$buckets\") | .netns")" "whose it is"
is $limit "$(rows "select(.id == \"$buckets\") | .capacity")" "its own limit, not ours"
at_least 50 "$(rows "select(.id == \"$buckets\") | .drops")" "what was dropped there"
is fine "$(rows 'select(.id == "time-wait-buckets") | .level')" "our own are far from theirs"
check "the line to paste goes there" grep -qx "nsenter -t [0-9]* -n sysctl -w $key=[0-9]*" \
	<(rows "select(.id == \"$buckets/tw-buckets\") | .lines[]")
value=$(rows "select(.id == \"$buckets/tw-buckets\") | .value")
at_least $((limit * 5 / 4)) "$value" "what would be enough"
tune apply "$buckets/tw-buckets" >"$dir/apply" 2>&1
is 0 $? "apply"
note "$(cat "$dir/apply")"
is "$value" "$(in_ns b sysctl -n $key)" "it is set there"
is "$before" "$(in_ns a sysctl -n $key)" "and not here"
check "it is closeside's" key_is ours

# The guardian and the loop are killed: what it was is known to the next.
kill -KILL "${pid_of[closesided-a]}"
wait_for 20 pid_gone "${pid_of[closesided-a]}"
stop closesided-a
daemon_restart a
check "after a kill -9 it still is" wait_for 20 key_is ours
tune revert >"$dir/revert" 2>&1
is 0 $? "revert"
note "$(cat "$dir/revert")"
is $limit "$(in_ns b sysctl -n $key)" "and can be put back"

# Somebody else's hand.
tune apply "$buckets/tw-buckets" >/dev/null 2>&1
in_ns b sysctl -qw $key=12345
check "a value that an admin has set since is his" wait_for 20 key_is yielded
tune apply "$buckets/tw-buckets" >/dev/null 2>&1
tune revert >/dev/null 2>&1
is 12345 "$(in_ns b sysctl -n $key)" "neither apply nor revert touches it"
stop closesided-a
is 12345 "$(in_ns b sysctl -n $key)" "nor the daemon's end"

# --- without CAP_SYS_ADMIN ---
cat >"$dir/closesided" <<-END
	#!/bin/sh
	exec setpriv --bounding-set=-sys_admin --inh-caps=-all "$closesided" "\$@"
	#!/bin/sh
	exec setpriv --bounding-set=-sys_admin --inh-caps=-all "$closesided" "\$@"
END
chmod 755 "$dir/closesided"
closesided=$dir/closesided
daemon_restart a a
own_sheet() {
	[ -n "$(rows 'select(.id == "time-wait-buckets") | .id')" ]
}
check "without it there is a sheet of our own" wait_for 20 own_sheet
said() {
	grep -q 'without CAP_SYS_ADMIN' "$dir/closesided-a.log"
}
check "that others are not seen is said" wait_for 30 said
is "" "$(rows "select(.id == \"$buckets\") | .id")" "they are not"
sleep 6 # another look for namespaces
is 1 "$(grep -c 'without CAP_SYS_ADMIN' "$dir/closesided-a.log")" "it is said once"
finish
