# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts in tools/vm share: where the cache is, locks, and apt for another Debian
# suite without touching the system's own apt state.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck disable=SC2034 # the scripts that read this file use it
vmdir=$top/tools/vm
cache=${EXO_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/exo}
export PATH=$PATH:/usr/sbin:/sbin

# "make -j run" has a job server of its own; what kernels are built with must not warn about it.
unset MAKEFLAGS MFLAGS GNUMAKEFLAGS

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$@"; exit 1; }

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "needs root for '$1': run it as root or install sudo"
	fi
}

# lock NAME: one holder in the whole cache until this shell ends. The descriptor is not
# inherited by guests and compilers on purpose (they are waited for), so plain exec is enough.
lock()
{
	mkdir -p "$cache/lock"
	exec {lock_fd}>"$cache/lock/$1"
	if ! flock -n "$lock_fd"; then
		say "waiting for another run that prepares $1"
		flock "$lock_fd"
	fi
}

unlock()
{
	exec {lock_fd}>&-
}

# with_progress TEXT COMMAND...: run quietly, show that time passes, show the output on failure.
with_progress()
{
	local text=$1 out ret start=$SECONDS pid
	shift
	out=$(mktemp)
	say "$text"
	"$@" >"$out" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		if [ $(((SECONDS - start) % 20)) = 19 ]; then
			say "  ... $((SECONDS - start)) s: $(tail -n 1 "$out" | cut -c1-90)"
			sleep 1
		fi
	done
	ret=0
	wait "$pid" || ret=$?
	if [ "$ret" != 0 ]; then
		tail -n 40 "$out" >&2
		say "failed after $((SECONDS - start)) s: $text"
	fi
	rm -f "$out"
	return "$ret"
}

# suite_apt NAME TOOL ARGS...: an apt tool that looks at the suite NAME only. NAME "host" means
# the sources this machine has; all others are derived from where those come from.
suite_apt()
{
	local name=$1 tool=$2 dir=$cache/apt/$1
	shift 2
	local opts=(-o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache"
		    -o Dir::State::status=/dev/null -o APT::Sandbox::User=
		    -o Acquire::Languages=none -o APT::Architecture=amd64
		    -o APT::Architectures::=amd64 -o Acquire::Retries=3)

	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	if [ "$name" != host ]; then
		opts+=(-o "Dir::Etc::sourcelist=$dir/sources.list"
		       -o Dir::Etc::sourceparts=/dev/null)
	fi
	"$tool" "${opts[@]}" "$@"
}

# debian_uri: the mirror that this machine takes bookworm from.
debian_uri()
{
	local uri
	suite_apt host apt-get -qq update >&2 ||
		say "apt-get update had errors; going on with the lists there are"
	# shellcheck disable=SC2016 # the format is apt's, not the shell's
	uri=$(suite_apt host apt-get indextargets --format '$(RELEASE) $(REPO_URI)' \
		'Created-By: Packages' 2>/dev/null | awk '$1 == "bookworm" { print $2; exit }')
	[ -n "$uri" ] || die "found no Debian 12 (bookworm) mirror in this machine's apt sources"
	printf '%s\n' "$uri"
}

# suite_lines SUITE...: sources.list lines for these suites of this machine's mirror.
suite_lines()
{
	local uri suite
	uri=$(debian_uri) || return
	for suite; do
		printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
			"$uri" "$suite"
	done
}

suite_prepare()
{
	local name=$1
	if [ "$name" = host ]; then
		suite_apt host apt-get -qq update >&2 || say "apt-get update had errors"
		return
	fi
	mkdir -p "$cache/apt/$name"
	suite_lines "$name" >"$cache/apt/$name/sources.list.new" || return
	mv "$cache/apt/$name/sources.list.new" "$cache/apt/$name/sources.list"
	suite_apt "$name" apt-get -qq update >&2
}

suite_version()
{
	suite_apt "$1" apt-cache policy "$2" | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'
}

# kernel_packages SUITE PACKAGE...: those packages and all linux-* ones they depend on.
kernel_packages()
{
	local suite=$1
	shift
	suite_apt "$suite" apt-cache depends --recurse --important "$@" |
		grep -E '^linux-(image|headers|binary|modules|kbuild|compiler)' | sort -u
}
