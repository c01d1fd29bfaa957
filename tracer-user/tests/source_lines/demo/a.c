// SPDX-License-Identifier: MIT OR Apache-2.0
/* Code to be looked up by tests: each function `called_…` is called once. `build.sh` says how it is compiled. */

#include "inline.h"

extern void called_in_common_of_a(void);
extern void called_in_probe(void);
extern void called_after_inlined(void);
extern void called_in_init(void);
extern void called_in_unlikely(void);
extern void called_last(void) __attribute__((noreturn));

/* Another file has a function of this name too. */
static __attribute__((noipa)) void common(void)
{
	called_in_common_of_a();
	asm volatile("");
}

__attribute__((noipa)) int demo_probe(int error)
{
	common();
	called_in_probe();
	asm volatile("");
	outer();
	called_after_inlined();
	return error;
}

__attribute__((section(".init.text"), noipa)) int demo_init(void)
{
	called_in_init();
	return 0;
}

__attribute__((section(".text.unlikely"), noipa)) int demo_fails(void)
{
	called_in_unlikely();
	return 0;
}

/* The address to which the call returns is another function's. */
__attribute__((noipa)) void demo_dies(void)
{
	called_last();
}
