// SPDX-License-Identifier: MIT OR Apache-2.0
#define CALLED(name) __attribute__((noipa)) void name(void) { asm volatile(""); }
CALLED(called_in_common_of_a)
CALLED(called_in_common_of_b)
CALLED(called_in_probe)
CALLED(called_after_inlined)
CALLED(called_in_init)
CALLED(called_in_unlikely)
CALLED(called_when_inlined)
CALLED(called_last)
