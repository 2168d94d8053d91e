#!/bin/bash
# SPDX-License-Identifier: MIT
# enable and disable under a real systemd: nginx's unit as Debian ships it, one with a sandbox as
# services have it, one that has an LD_PRELOAD of its own in each place where there may be one; and
# units that keep the shim out, each refused with its reason, and shown to be right: enabled by force,
# the shim does not act in them.
# shellcheck disable=SC2317 # functions that wait_for calls
# shellcheck source=tests/wire/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/wire/systemd-lib.sh
. "$wire_dir/systemd-lib.sh"

wire_init
[ -z "$wire_plain" ] || skip_all "there is nothing to enable without closeside"
have nginx || skip_all "nginx is not installed"
[ -z "${sanitizers:-}" ] || skip_all "a sanitizer's library would have to come before the shim"
systemd_install
units=$systemd_root/etc/systemd/system
cat >>"$etc" <<-'END'
	limits { namespaces = 1 }
	doctor { patience = 100ms }
	policy all { close-first = peer  grace = 10s  grace-learn = no }
END

closeside_in() {
	systemd_in "$prefix/bin/closeside" "$@"
}
# run_in EXIT-STATUS WHAT COMMAND...: closeside's, with what it says in $dir/said
run_in() {
	local expected=$1 what=$2 status=0
	shift 2
	closeside_in "$@" >"$dir/said" 2>&1 || status=$?
	is "$expected" $status "$what"
	[ "$expected" = $status ] || note "$(cat "$dir/said")"
}
says() { # WHAT PATTERN
	if grep -qE -- "$2" "$dir/said"; then ok "$1"; else not_ok "$1" "$(cat "$dir/said")"; fi
}
main_pid() {
	systemd_in systemctl show -p MainPID --value "$1"
}
# Is the shim in the unit's main process?
has_shim() {
	systemd_in grep -q libcloseside "/proc/$(main_pid "$1")/maps"
}
in_status() { # UNIT: its verdict
	closeside_in status -f json | jq -r --arg u "$1" '.enabled[] | select(.unit == $u).verdict'
}
is_in_status() {
	[ "$(in_status "$1")" = "$2" ]
}
in_doctor() { # UNIT
	closeside_in doctor -f json |
		jq -r --arg u "$1" '.verdicts[] | select(.id == "shim-not-loaded" and .unit == $u).id'
}
is_in_doctor() {
	[ "$(in_doctor "$1")" = "$2" ]
}
# unit NAME: from standard input; its program answers each line at its port, and closes
unit() {
	{
		echo '[Service]'
		cat
	} >"$units/$1.service"
}
# Where no PrivateTmp= or ProtectHome= hides it, wherever the sources are.
cp "$wire_dir/actor.py" "$systemd_root/usr/local/lib/actor.py"
server="$python /usr/local/lib/actor.py serve"
# steered UNIT PORT: of three connections, all are held for the peer's FIN
steered() {
	local before after
	before=$(closeside_in status -f json | jq .custody.peer)
	actor_connect "$A4" "$2" 3 text:hello recv:4 sleep:20 close >"$dir/$1.out"
	is 3 "$(lines_count "$dir/$1.out" '.error == null and .got == 4')" "$1: it answers"
	for _ in {1..100}; do
		after=$(closeside_in status -f json | jq .custody.peer)
		[ $((after - before)) -ge "$3" ] && break
		sleep 0.05
	done
	is "$3" $((after - before)) "$1: so many of three closes are steered"
}
listens() {
	systemd_in ss -Hltn "sport = :$1" | grep -q .
}
begin() { # UNIT PORT
	systemd_in systemctl restart "$1"
	wait_for 20 listens "$2" || note "$(systemd_in journalctl -q -u "$1" -o cat --no-pager | tail -n5)"
}

systemd_in systemctl daemon-reload
check "the daemon starts, by the shipped unit" systemd_in systemctl start closeside

# --- nginx's own unit ---
check "nginx starts" systemd_in systemctl start nginx
before=$(main_pid nginx)
run_in 0 "enable nginx" enable nginx
says "it says what it wrote" '^wrote /etc/systemd/system/nginx.service.d/zz-closeside.conf$'
says "and what to restart" 'systemctl restart nginx.service$'
is "$before" "$(main_pid nginx)" "nothing is restarted"
sum=$(sha256sum "$units/nginx.service.d/zz-closeside.conf")
run_in 0 "once more" enable nginx.service
says "it says that nothing has changed" 'enabled already: nothing has changed'
is "$sum" "$(sha256sum "$units/nginx.service.d/zz-closeside.conf")" "and nothing has"
is not-restarted "$(in_status nginx.service)" "status: enabled, but not restarted"
check "so has the doctor" wait_for 20 is_in_doctor nginx.service shim-not-loaded
closeside_in doctor >"$dir/said"
says "with its remedy" '^    systemctl restart nginx.service'
begin nginx 80
check "restarted: it has the shim" wait_for 20 is_in_status nginx.service fine
is "" "$(in_doctor nginx.service)" "and the doctor has nothing against it"
start b visitor bash -c 'exec 3<>"/dev/tcp/$1/80"; printf "GET / HTTP/1.0\r\n\r\n" >&3; exec cat <&3' - "$A4"
nginx_holds() { # HOW-MANY
	[ "$(closeside_in status -f json | jq .custody.held)" = "$1" ]
}
# It reads until the end of file, which closeside withholds while it waits for the peer's FIN.
check "its connection is steered" wait_for 20 nginx_holds 1
shim_serves() {
	[ "$(closeside_in conns -f json 'sport = :80' |
		jq '[.conns[] | select(.shim and .unit == "nginx.service" and .policy == "all")] | length')" -ge 1 ]
}
check "and recorded" wait_for 20 shim_serves
stop visitor
check "and ends" wait_for 20 nginx_holds 0
run_in 0 "disable nginx" disable nginx
says "it says which processes still have it" 'have the shim until then: systemctl restart nginx.service'
check "the drop-in and its folder are gone" [ ! -e "$units/nginx.service.d" ]
begin nginx 80
has_no_shim() {
	! has_shim "$1"
}
check "restarted: it has not" has_no_shim nginx

# --- a sandbox as services have it, and a user of its own ---
unit sandboxed <<-END
	ExecStart=$server 8001 line text:bye close
	DynamicUser=yes
	AmbientCapabilities=CAP_NET_BIND_SERVICE
	ProtectSystem=strict
	ProtectHome=read-only
	PrivateTmp=no
	PrivateDevices=yes
	ProtectKernelTunables=yes
	MemoryDenyWriteExecute=yes
	LockPersonality=yes
	RestrictRealtime=yes
	RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
	SystemCallArchitectures=native
	SystemCallFilter=@system-service
END
# What looks as if it might keep the shim out, and does not: it speaks with the daemon.
unit apart <<-END
	ExecStart=$server 8005 line text:bye close
	PrivateNetwork=yes
	PrivateTmp=yes
	PrivateMounts=yes
	ProtectHome=yes
	ProtectProc=invisible
	ProcSubset=pid
	ProtectSystem=strict
	User=nobody
	NoNewPrivileges=yes
END
# --- LD_PRELOAD in each of its places ---
own=$(systemd_in sh -c 'ls /lib/*/libSegFault.so /usr/lib/*/libmemusage.so /lib/*/libpcprofile.so 2>/dev/null | head -n1')
own=${own:-/usr/lib/x86_64-linux-gnu/libz.so.1}
unit by-unit <<-END
	Environment="LD_PRELOAD=$own"
	ExecStart=$server 8002 line text:bye close
END
echo "LD_PRELOAD='$own'" >"$systemd_root/etc/default/by-file"
unit by-file <<-END
	EnvironmentFile=/etc/default/by-file
	ExecStart=$server 8003 line text:bye close
END
unit instance@ <<-END
	ExecStart=$server %i line text:bye close
END
# What a base drop-in sorts behind.
mkdir "$units/by-unit.service.d"
printf '[Service]\nEnvironment=OTHER=1\n' >"$units/by-unit.service.d/override.conf"
systemd_in systemctl daemon-reload
port=8001
for name in sandboxed by-unit by-file instance@; do
	run_in 0 "enable $name" enable $name
	unit=${name/@/@8004}
	begin $unit $port
	check "$name: the shim is in it" wait_for 20 has_shim $unit
	steered $unit $port 3
	case $name in by-*)
		check "$name: so is what it had" systemd_in grep -q "$(basename "$own")" "/proc/$(main_pid $unit)/maps"
		;;
	esac
	port=$((port + 1))
done
run_in 0 "enable apart" enable apart
systemd_in systemctl restart apart
has_session() {
	[ "$(closeside_in ps -f json | jq --arg u "$1" '[.ps[] | select(.shim and .unit == $u)] | length')" -ge 1 ]
}
check "apart, in a network namespace of its own: it speaks with the daemon" wait_for 20 has_session apart.service
port=8002
for name in by-unit by-file; do
	run_in 0 "disable $name" disable $name
	begin $name $port
	port=$((port + 1))
	check "$name: without ours, with its own" systemd_in sh -c '! grep -q libcloseside "$1" && grep -q "$2" "$1"' - \
		"/proc/$(main_pid $name)/maps" "$(basename "$own")"
done
check "what is another's stays" [ -e "$units/by-unit.service.d/override.conf" ]

# --- what keeps the shim out ---
# kept_out NAME PORT PATTERN: refused for that reason, and right: by force, nothing is steered
kept_out() {
	run_in 1 "$1 is refused" enable "$1"
	says "$1: the reason" "$3"
	says "$1: a remedy" 'remedy: '
	check "$1: nothing is written" [ ! -e "$units/$1.service.d" ]
	run_in 0 "$1: by force" enable --force "$1"
	begin "$1" "$2"
	steered "$1" "$2" 0
}
unit families <<-END
	ExecStart=$server 8011 line text:bye close
	RestrictAddressFamilies=AF_INET AF_INET6
END
unit calls <<-END
	ExecStart=$server 8012 line text:bye close
	SystemCallFilter=@system-service
	SystemCallFilter=~sendmsg
	SystemCallErrorNumber=EPERM
END
unit hidden <<-END
	ExecStart=$server 8013 line text:bye close
	TemporaryFileSystem=/run
END
unit closed <<-END
	ExecStart=$server 8014 line text:bye close
	InaccessiblePaths=/run/closeside
END
unit unset <<-END
	ExecStart=$server 8015 line text:bye close
	UnsetEnvironment=LD_PRELOAD
END
unit nolib <<-END
	ExecStart=$server 8016 line text:bye close
	InaccessiblePaths=$prefix/lib/libcloseside.so
END
cp "$python" "$systemd_root/usr/local/bin/capable-python"
systemd_in setcap cap_net_raw+ep /usr/local/bin/capable-python
unit capable <<-END
	User=nobody
	ExecStart=/usr/local/bin/capable-python /usr/local/lib/actor.py serve 8017 line text:bye close
END
systemd_in systemctl daemon-reload
kept_out families 8011 'allows no AF_UNIX'
kept_out calls 8012 'refuses what the shim calls: sendmsg$'
kept_out hidden 8013 'TemporaryFileSystem= hides /run/closeside/socket'
kept_out closed 8014 'InaccessiblePaths= hides /run/closeside/socket'
kept_out unset 8015 'UnsetEnvironment='
kept_out nolib 8016 'libcloseside.so, the shim$'
if systemd_in getcap /usr/local/bin/capable-python | grep -q cap_net_raw; then
	kept_out capable 8017 'given capabilities by its file'
	check "status: kept out" wait_for 20 is_in_status capable.service kept-out
	check "so has the doctor" wait_for 20 is_in_doctor capable.service shim-not-loaded
else
	skip "capable" "the file system here takes no capabilities"
fi

# --- bad input, where systemd is real ---
run_in 4 "a unit that is not there" enable nonsuch
says "it says so" 'there is no unit nonsuch.service'
run_in 2 "a socket" enable ssh.socket
says "it names the service" 'closeside enable ssh.service'

ln -sf /etc/systemd/system/sandboxed.service "$units/nickname.service"
systemd_in systemctl daemon-reload
run_in 0 "an alias" enable nickname
says "is told" '^nickname.service is an alias of sandboxed.service$'
finish
