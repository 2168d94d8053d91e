#!/bin/bash
# SPDX-License-Identifier: MIT
# A hostile user of the group that may read what the daemon knows: clients that ask and ask and
# never read, and never finish a line, in any number. Others are answered.
# shellcheck disable=SC2154 # of the libraries
# shellcheck source=tests/wire/hostile-lib.sh
. "$(dirname "$0")/hostile-lib.sh"

hostile_init 'policy web { local-port = 8001  close-first = peer  grace = 20s  grace-learn = no }'
check "who is not of the group may not connect" eval \
	"as_user $hostile $python $ctl_dir/ctl.py $dir/a.socket.control status >/dev/null 2>&1; [ \$? = 3 ]"
chgrp $hostile "$dir/a.socket.control"

# Connections to list, a few thousand.
# shellcheck disable=SC2046
begin many a setpriv --reuid $hostile2 --regid $hostile2 --clear-groups -- \
	$(attack_py) "$dir/a.socket" opens 20000
attack_socket=$dir/a.socket.control
attack "300 clients that do not read" $hostile control 300
at_least 250 "$(jq .clients <<<"$did")" "300 clients that do not read: they could connect"
at_most 120000 "$rss" "300 clients that do not read: memory is bounded"
at_most 200 "$files" "300 clients that do not read: a few at a time are served"
is 1 "$(said $hostile)" "300 clients that do not read: the user is named once"
end many
finish
