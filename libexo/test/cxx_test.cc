// SPDX-License-Identifier: LGPL-2.1-or-later
// The headers are good C++, and the shared library is what it links.
#include <cstdio>

#include <exo/uring.h>

int main()
{
	struct exo_view_opts opts = {};
	struct exo_env_opts where = {};
	struct exo_env *env = nullptr;
	struct exo_mem_op op = exo_op(1, 1, 2, EXO_RIGHT_READ | EXO_RIGHT_WRITE);

	opts.sz = sizeof(opts);
	where.sz = sizeof(where);
	where.path = "/nonexistent/exo";
	int ret = exo_env_open(&env, &where);
	bool good = op.frame == 2 && ret == -ENOENT && exo_open_hint(ret)[0];

	std::printf("KTAP version 1\n1..1\n%sok 1 libexo_links_from_cxx\n", good ? "" : "not ");
	return !good;
}
