# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What the parts of the demonstration say, and how. Read by run and disk.

bold='' dim='' green='' red='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
	bold=$(printf '\033[1m') dim=$(printf '\033[2m') green=$(printf '\033[32m')
	red=$(printf '\033[31m') plain=$(printf '\033[0m')
fi

uptime_s() { cut -d' ' -f1 /proc/uptime; }
started=$(uptime_s)

since() { echo "$1 $(uptime_s)" | awk '{ printf "%.1f", $2 - $1 }'; }

title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
line() { printf '   %s\n' "$*"; }
indent() { sed 's/^/   /'; }

failures=0
# claim TEXT CONDITION...: what the demonstration says must be so.
claim()
{
	claim_text=$1
	shift
	if "$@"; then
		printf '   %sok%s  %s\n' "$green" "$plain" "$claim_text"
	else
		printf '   %sNOT SO%s  %s\n' "$red" "$plain" "$claim_text"
		failures=$((failures + 1))
	fi
}

die()
{
	printf '%srun: %s%s\n' "$red" "$*" "$plain" >&2
	exit 1
}

# A line that changes on a terminal; elsewhere one in ten.
progress()
{
	if [ -n "$plain" ]; then
		printf '\r   %s%% %s\033[K' "$2" "$1"
	elif [ $(($2 / 25)) != "${progress_last:-0}" ]; then
		progress_last=$(($2 / 25))
		line "$2% $1"
	fi
}

progress_end()
{
	[ -z "$plain" ] || printf '\r\033[K'
}

