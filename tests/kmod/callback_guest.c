// SPDX-License-Identifier: GPL-2.0
/* A module that leaves an action of its own behind; see callback.c. */
#include <linux/module.h>

#include "devres_test.h"

static void guest_callback(void *data)
{
}

static int __init guest_init(void)
{
	return dt_callback_add(guest_callback, NULL);
}

static void __exit guest_exit(void)
{
}

module_init(guest_init);
module_exit(guest_exit);
MODULE_DESCRIPTION("Leaves an action on a device of devres_test behind");
MODULE_LICENSE("GPL");
