#!/bin/bash
# SPDX-License-Identifier: MIT
# enable, disable and status against a systemctl that says what the test wants: what is written, to the
# letter; a LD_PRELOAD in each place where one may be; what is edited by hand; bad input. In a mount
# namespace of its own, where the folders of systemd are the test's.
if [ "${1:-}" != inside ]; then
	users=()
	[ "$(id -u)" = 0 ] || users=(--map-root-user)
	unshare --mount "${users[@]}" true 2>/dev/null || {
		echo "1..0 # SKIP no mount namespace to be had"
		exit 0
	}
	exec unshare --mount "${users[@]}" bash "$0" inside
fi
. "${top_srcdir:?}/tests/cli/lib.sh"

prefix=$(sed -n 's/^prefix = //p' "$top_builddir/Makefile")
libdir=$(sed -n 's/^libdir = //p' "$top_builddir/Makefile")
libdir=${libdir/#\$\{exec_prefix\}/$prefix}
units=/etc/systemd/system
mkdir -p "$libdir" $units /run/systemd/system 2>/dev/null
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/closeside
mount -t tmpfs tmpfs $units || {
	echo "1..0 # SKIP no tmpfs can be mounted"
	exit 0
}
mkdir -p "$libdir" && mount -t tmpfs tmpfs "$libdir"
touch "$libdir/libcloseside.so"
chmod 755 "$work"

# --- what systemctl says: $work/NAME.unit, with what our drop-in adds once it was told to reload ---
mkdir "$work/bin"
export FAKE=$work PATH=$work/bin:$PATH
cat >"$work/bin/systemctl" <<'END'
#!/bin/bash
echo "$*" >>"$FAKE/asked"
[ ! -e "$FAKE/down" ] || {
	echo "System has not been booted with systemd as init system (PID 1). Can't operate." >&2
	exit 1
}
case $1 in
daemon-reload) rm -rf "$FAKE/read" && cp -r /etc/systemd/system "$FAKE/read" ;;
show-environment) cat "$FAKE/manager" 2>/dev/null ;;
show)
	name=${*: -1}
	name=${name/@closeside./@.}
	[ -e "$FAKE/$name.unit" ] || {
		printf 'Id=%s\nLoadState=not-found\n' "$name"
		exit 0
	}
	conf=$FAKE/read/$name.d/zz-closeside.conf
	! grep -qs ^Environment= "$conf" || [ -e "$FAKE/later" ] ||
		sed -n 's/%%/%/g; s/\$/\\$/g; s/^Environment=//p' "$conf" | paste -sd' ' | sed s/^/Environment=/
	cat "$FAKE/$name.unit"
	! [ -e "$conf" ] || sed -n 's/^EnvironmentFile=\(.*\)/EnvironmentFiles=\1 (ignore_errors=no)/p' "$conf"
	exit 0
	;;
esac
END
chmod 755 "$work/bin/systemctl"

# unit NAME [LINE...]: loaded, active, of this program unless a line says otherwise
unit()
{
	local name=$1

	shift
	{
		printf '%s\n' "$@"
		printf 'Id=%s\nLoadState=loaded\nActiveState=active\n' "$name"
		printf 'ExecStart={ path=/bin/sleep ; argv[]=/bin/sleep 9 ; ignore_errors=no ; }\n'
	} >"$work/$name.unit"
}
do_enable()
{
	run_plain enable "$@"
}
run_plain()
{
	status=0
	timeout 60 "$closeside" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	out=$(<"$work/out")
	err=$(<"$work/err")
}
body()
{
	grep -v '^#' "$1"
}
token=$libdir/libcloseside.so
here=$(ldd /bin/sh | sed -n 's/.*=> \(\/usr\)\?\/\(.*\)\/libc\.so.*/\2/p')
case $libdir in */"$here") token=${libdir%"$here"}\$LIB/libcloseside.so ;; esac

# --- a plain unit, twice, and back ---
unit plain.service "Environment=\"LD_PRELOAD=$token\""
do_enable plain
is "enable: exit status" 0 "$status"
conf=$units/plain.service.d/zz-closeside.conf
is "the drop-in, to the letter" "# Written by \`closeside enable plain.service\`, and removed by \`closeside disable plain.service\`.
[Service]
Environment=\"LD_PRELOAD=$token\"" "$(sed '/^# closeside 1 [0-9a-f]\{16\}$/d' "$conf")"
is "which anybody may read" 644 "$(stat -c %a "$conf")"
has "it says what it wrote" "^wrote $conf\$" "$work/out"
has "and what to restart" 'systemctl restart plain\.service$' "$work/out"
has "and that no daemon answers" 'no daemon answers at /run/closeside/socket' "$work/err"
has "systemd is told to read it" '^daemon-reload$' "$work/asked"
is "and nothing else is asked of it" "" "$(grep -Ev '^(show|show-environment|daemon-reload)( |$)' "$work/asked")"
before=$(stat -c '%i %Y' "$conf")
rm "$work/asked"
do_enable plain.service
is "enable again: exit status" 0 "$status"
has "it says that nothing has changed" 'enabled already: nothing has changed' "$work/out"
is "and nothing has" "$before" "$(stat -c '%i %Y' "$conf")"
is "nor is systemd told anything" "" "$(grep reload "$work/asked")"
run_plain disable plain
is "disable: exit status" 0 "$status"
is "the drop-in is gone, and its folder" "" "$(ls $units)"
run_plain disable plain
is "disable again: exit status" 0 "$status"
has "it says that there was nothing" 'plain.service is not enabled: nothing has changed' "$work/out"
mkdir $units/plain.service.d
touch $units/plain.service.d/other.conf
do_enable plain
run_plain disable plain
is "a folder with something else stays" other.conf "$(ls $units/plain.service.d)"
run_plain enable --runtime plain
is "--runtime: exit status" 0 "$status"
is "--runtime: it is below /run" zz-closeside.conf "$(ls /run/systemd/system/plain.service.d)"
run_plain disable plain
is "which disable finds too" "" "$(ls /run/systemd/system)"

# --- LD_PRELOAD that is there ---
# keeps NAME WHAT-IT-HAS-NOW EXPECTED
keeps()
{
	is "$1: exit status" 0 "$status"
	is "$1: both are there" "[Service]
Environment=\"LD_PRELOAD=$2\"" "$(body "$units/$1.service.d/zz-closeside.conf")"
}
unit one.service "Environment=LD_PRELOAD=/a/b.so OTHER=1"
do_enable one
keeps one "$token:/a/b.so"
has "it says what it keeps" 'keeps what Environment= has in LD_PRELOAD: /a/b.so' "$work/out"
do_enable one
has "again: nothing has changed" 'nothing has changed' "$work/out"
unit several.service "Environment=\"LD_PRELOAD=/a/b.so /c\\\$LIB/d%e.so:f.so\" \"X=a b\""
do_enable several
keeps several "$token:/a/b.so /c\$LIB/d%%e.so:f.so"
echo "LD_PRELOAD=\$'/m a.so'" >"$work/manager"
unit manager.service Environment=
do_enable manager
keeps manager "$token:/m a.so"
rm "$work/manager"
unit already.service Environment=LD_PRELOAD=/x/libcloseside.so:/y.so
do_enable already
keeps already "/x/libcloseside.so:/y.so"

printf 'A=1\nLD_PRELOAD="/f/$LIB/g.so"\n' >"$work/env"
unit file.service "EnvironmentFiles=$work/none (ignore_errors=yes)" \
	"EnvironmentFiles=$work/en[v] (ignore_errors=no)" Environment=LD_PRELOAD=/lost.so
do_enable file
is "a file: exit status" 0 "$status"
is "a file: one of our own comes after it" "[Service]
EnvironmentFile=$units/file.service.d/zz-closeside.env" "$(body $units/file.service.d/zz-closeside.conf)"
is "a file: with both" "LD_PRELOAD=\"${token/\$/\\\$}:/f/\\\$LIB/g.so\"" "$(body $units/file.service.d/zz-closeside.env)"
do_enable file
has "a file: again, nothing has changed" 'nothing has changed' "$work/out"
printf 'LD_PRELOAD=/h.so\n' >"$work/env"
do_enable file
is "a file: what it says now" "LD_PRELOAD=\"${token/\$/\\\$}:/h.so\"" "$(body $units/file.service.d/zz-closeside.env)"
run_plain disable file
is "a file: both are removed" "" "$(ls -d $units/file* 2>/dev/null)"

# --- sockets and filters ---
unit filter.service SystemCallArchitectures=native "Environment=\"LD_PRELOAD=$token\""
do_enable filter
is "under filters, the shim is told that they let it work" \
	'Environment="CLOSESIDE_SOCKET=/run/closeside/socket?filters=any"' \
	"$(grep CLOSESIDE $units/filter.service.d/zz-closeside.conf)"
status=0
"$closeside" enable -s "$socket" plain >"$work/out" 2>"$work/err" || status=$?
is "-s: the socket" "Environment=\"CLOSESIDE_SOCKET=$socket\"" \
	"$(grep CLOSESIDE $units/plain.service.d/zz-closeside.conf)"
unit theirs.service LockPersonality=yes "Environment=CLOSESIDE_SOCKET=/own?policy=web LD_PRELOAD=$token"
do_enable theirs
is "what the unit says of it stays" 'Environment="CLOSESIDE_SOCKET=/own?policy=web,filters=any"' \
	"$(grep CLOSESIDE $units/theirs.service.d/zz-closeside.conf)"
unit strict.service "SystemCallFilter=~sendmsg"
do_enable --force strict
is "filters that do not: nothing of the kind, also by force" "" \
	"$(grep CLOSESIDE $units/strict.service.d/zz-closeside.conf)"

# --- programs that the shim cannot enter ---
# refused NAME PATTERN
refused()
{
	do_enable "$1"
	is "$1: exit status" 1 "$status"
	has "$1: why" "$2" "$work/err"
	has "$1: remedy" '^closeside:   remedy: ' "$work/err"
	is "$1: nothing is written" "" "$(ls -d "$units/$1.service.d" 2>/dev/null)"
}
program()
{
	unit "$1.service" "${@:3}"
	sed -i "s|path=/bin/sleep|path=$2|" "$work/$1.service.unit"
}
echo 'int main(void) { return 0; }' >"$work/p.c"
if cc -static -o "$work/static" "$work/p.c" 2>/dev/null; then
	program static "$work/static"
	refused static "$work/static is statically linked"
	printf '#!%s\n' "$work/static" >"$work/script"
	chmod 755 "$work/script"
	program script "$work/script"
	refused script "$work/static is statically linked"
fi
cp /bin/sleep "$work/foreign"
printf '\003' | dd of="$work/foreign" bs=1 seek=18 conv=notrunc 2>/dev/null # EM_386
program foreign "$work/foreign"
refused foreign 'another processor or word size'
program gone "$work/gone"
refused gone "$work/gone: No such file"
if [ "$(stat -c %u /bin/sleep)" = 0 ] && cp /bin/sleep "$work/suid" && chmod 4755 "$work/suid" && id nobody >/dev/null; then
	program suid "$work/suid" User=nobody
	refused suid "$work/suid is setuid"
	program nnp "$work/suid" User=nobody NoNewPrivileges=yes
	do_enable nnp
	is "setuid that does nothing is no obstacle" 0 "$status"
fi
install -d -m 700 /run/closeside
unit reach.service User=nobody
touch /run/closeside/socket
refused reach 'User=nobody may not reach /run/closeside/socket, because of /run/closeside$'
has "reach: what to change" 'chmod o\+x /run/closeside$' "$work/err"
rm -r /run/closeside
printf 'Id=strange.service\nLoadState=masked\n' >"$work/strange.service.unit"
do_enable strange
is "masked: exit status" 4 "$status"
has "masked: how to go on" 'systemctl unmask strange.service' "$work/err"

# --- names ---
unit real.service
sed 's/Id=.*/Id=real.service/' "$work/real.service.unit" >"$work/alias.service.unit"
do_enable alias
has "an alias is told" '^alias.service is an alias of real.service$' "$work/out"
is "and the drop-in is the unit's" zz-closeside.conf "$(ls $units/real.service.d)"
unit t@.service "Environment=LD_PRELOAD=$token"
do_enable t@
is "a template: exit status" 0 "$status"
is "a template: its folder" zz-closeside.conf "$(ls $units/t@.service.d)"
has "a template: what to restart" "systemctl restart 't@\*'" "$work/out"
unit t@x.service "Environment=LD_PRELOAD=$token"
do_enable t@x
is "an instance: its folder" zz-closeside.conf "$(ls $units/t@x.service.d)"
for name in ../x a/b .. 'a b' '' -- ssh.socket x.timer; do
	do_enable "$name"
	is "'$name': exit status" 2 "$status"
	is "'$name': it says why" 1 "$(grep -cE 'is no name of a unit|is no service|what\?' "$work/err")"
done
do_enable nonsuch
is "a unit that is not there: exit status" 4 "$status"
has "a unit that is not there: it says so" 'there is no unit nonsuch.service' "$work/err"
run_plain disable nonsuch
is "disable of one: exit status" 4 "$status"

# --- edited by hand ---
unit edited.service "Environment=LD_PRELOAD=$token"
do_enable edited
conf=$units/edited.service.d/zz-closeside.conf
echo 'Environment=MINE=1' >>"$conf"
cp "$conf" "$work/mine"
for command in enable disable; do
	run_plain $command edited
	is "edited, $command: exit status" 1 "$status"
	has "edited, $command: it says so" 'has been edited by hand' "$work/err"
	is "edited, $command: it stays" "" "$(cmp "$conf" "$work/mine" 2>&1)"
done
has "edited: a line to paste" "rm $conf && systemctl daemon-reload" "$work/err"
run_plain enable --force edited
is "edited: written anew by force" "" "$(grep MINE "$conf")"
cp "$work/mine" "$conf"
run_plain disable --force edited
is "edited: removed by force" "" "$(ls -d $units/edited.service.d 2>/dev/null)"
mkdir $units/edited.service.d
ln -s /etc/passwd "$conf"
run_plain enable edited
is "a link is no drop-in of ours" 1 "$status"
rm -r $units/edited.service.d

# --- no systemd, no rights, no room ---
touch "$work/down"
do_enable plain
is "systemd does not run: exit status" 4 "$status"
has "systemd does not run: its own words" 'not been booted with systemd' "$work/err"
rm "$work/down"
status=0
PATH=$work/nothing "$closeside" enable plain >"$work/out" 2>"$work/err" || status=$?
is "no systemctl: exit status" 4 "$status"
has "no systemctl: it says so" 'there is no systemctl here' "$work/err"
if setpriv --reuid=65534 --clear-groups true 2>/dev/null; then
	status=0
	setpriv --reuid=65534 --clear-groups "$closeside" enable plain >"$work/out" 2>"$work/err" || status=$?
	is "not root: exit status" 4 "$status"
	has "not root: it says so" 'run it as root' "$work/err"
fi
unit full.service "Environment=LD_PRELOAD=$token"
mount -o remount,ro $units
do_enable full
is "a read-only /etc: exit status" 4 "$status"
has "a read-only /etc: what else there is" 'Read-only file system: --runtime' "$work/err"
mount -o remount,rw $units
rm "$libdir/libcloseside.so"
do_enable full
is "no library: exit status" 4 "$status"
has "no library: it says so" 'the shim is not installed' "$work/err"

# --- another drop-in that comes later ---
touch "$libdir/libcloseside.so"
unit later.service Environment=LD_PRELOAD=/later.so
touch "$work/later"
do_enable later
is "one that comes later: exit status" 1 "$status"
has "one that comes later: it says so" 'another drop-in comes later' "$work/err"
rm "$work/later"

# --- status: processes with and without the shim ---
serve
echo '{"type":"status","version":"1","pid":1,"on":true}' >"$answers/status.jsonl"
rm -r $units/*
groups=$work/groups
mkdir -p "$groups/system.slice/old.service/sub" "$groups/system.slice/new.service" "$groups/system.slice/none.service"
mount --bind "$groups" /sys/fs/cgroup || finish
sleep 600 &
servers+=($!)
echo $! >"$groups/system.slice/old.service/sub/cgroup.procs"
cp "$python" "$libdir/libcloseside.so" 2>/dev/null # anything: it only has to be mapped
"$python" -c 'import mmap, sys, time; f = open(sys.argv[1], "rb"); m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ); print(flush=True); time.sleep(600)' \
	"$libdir/libcloseside.so" >"$work/mapped" &
servers+=($!)
wait_for test -s "$work/mapped"
echo $! >"$groups/system.slice/new.service/cgroup.procs"
for name in old new none; do
	unit $name.service "Environment=LD_PRELOAD=$token"
	do_enable $name
done
run status
has "status: not restarted since" 'old.service: its shim is not loaded: not restarted since it was enabled' "$work/out"
has "status: with the shim" 'new.service: the shim is in 1 of its 1 process$' "$work/out"
has "status: not running" 'none.service: not running' "$work/out"
run status -f json
is "status -f json" '[["new.service","fine",1,1],["none.service","fine",0,0],["old.service","not-restarted",1,0]]' \
	"$(jq -c '[.enabled[] | [.unit, .verdict, .processes, .loaded]] | sort' "$work/out")"
touch -d '1 hour ago' $units/old.service.d/zz-closeside.conf
run status
has "status: started since, and without it" 'old.service: its shim is not loaded: something keeps it out' "$work/out"
run_plain disable new
has "disable: who still has it" '1 of its processes has the shim until then: systemctl restart new.service' "$work/out"

# --- the table of what the shim calls ---
called=$(grep -ohE 'raw\(SYS_[a-z0-9_]+' "$top_srcdir"/shim/*.[ch] | sed 's/.*SYS_//' | sort -u)
# What a wrapped call becomes is the program's own: it does without where it may not.
own='clone|clone3|close_range|prctl|fork|vfork|exit_group'
missing=
for name in $called; do
	[[ $name =~ ^($own)$ ]] || grep -q "\"$name\"" "$top_srcdir/daemon/cli_unit_sandbox.c" || missing+=" $name"
done
is "every system call of the shim is known to enable" "" "$missing"
is "they were found" yes "$([ "$(wc -w <<<"$called")" -gt 20 ] && echo yes)"
finish
