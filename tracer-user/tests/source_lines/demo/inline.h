/* SPDX-License-Identifier: MIT OR Apache-2.0 */
extern void called_when_inlined(void);

static inline __attribute__((always_inline)) void inner(void)
{
	called_when_inlined();
	asm volatile("");
}

static inline __attribute__((always_inline)) void outer(void)
{
	inner();
}
