#!/bin/bash
# SPDX-License-Identifier: MIT
# What bash would offer: complete.bash SCRIPT WORD...; the last word is the one being typed. The words
# are as bash has them in COMP_WORDS, where '=' is a word of its own.
. "$1"
shift
COMP_WORDS=(closeside "$@")
COMP_CWORD=$#
COMP_LINE="closeside $*"
COMP_POINT=${#COMP_LINE}
COMPREPLY=()
function=$(complete -p closeside | sed 's/.*-F \([^ ]*\) .*/\1/')
"$function" closeside "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}"
