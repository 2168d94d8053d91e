# SPDX-License-Identifier: MIT
# What zsh offers, in a real one on a terminal of its own: complete.zsh FOLDER-OF-_closeside OUT
# For each line of standard input, as it would be typed up to the TAB, prints the candidates, one a
# line, and an empty line. Each candidate goes through OUT.
zmodload zsh/zpty zsh/zselect || exit 1
folder=$1 out=$2

zpty shell zsh -f -i || exit 1
zpty -w shell "folder=${(q)folder} out=${(q)out}"
zpty -w shell '
	unsetopt zle prompt_sp; PROMPT=; setopt zle
	fpath=($folder $fpath)
	autoload -Uz compinit && compinit -D -u
	# What is stored by -O, -A or -D is not offered.
	compadd() {
		local -a hits
		if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
			builtin compadd -O hits "$@"
			(( ! $#hits )) || print -rl -- $hits >>$out
		fi
		builtin compadd "$@"
	}
	finish() { print -r -- . >>$out }
	tried() { comppostfuncs=(finish); zle complete-word; BUFFER= }
	zle -N tried
	bindkey "^I" tried
	print -r -- . >>$out
'

# Until the file ends with a dot; what the shell prints is not looked at.
await()
{
	local -i tries=0
	local ignored

	until [[ -e $out && "$(tail -n 1 $out)" == . ]]; do
		zpty -rt shell ignored || zselect -t 5
		(( ++tries < 1200 )) || { print -u 2 "zsh does not answer"; exit 1 }
	done
}

await
while IFS= read -r line; do
	: >$out
	zpty -wn shell "$line"$'\t'
	await
	sed '$d' $out | sort -u
	print
done
zpty -d shell
