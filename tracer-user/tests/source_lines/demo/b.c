// SPDX-License-Identifier: MIT OR Apache-2.0
extern void called_in_common_of_b(void);

static __attribute__((noipa)) void common(void)
{
	asm volatile("");
	called_in_common_of_b();
	asm volatile("");
}

__attribute__((noipa)) int demo_remove(void)
{
	common();
	return 0;
}
