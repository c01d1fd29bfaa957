// SPDX-License-Identifier: GPL-2.0
/*
 * A module that leaves an action of its own behind; see callback.c. With fails=1
 * its initialisation fails right after that, so that the module is gone again at
 * once.
 */
#include <linux/device.h>
#include <linux/err.h>
#include <linux/module.h>

#include "devres_test.h"

static bool fails;
module_param(fails, bool, 0444);
MODULE_PARM_DESC(fails, "fail with -ENODEV after the action was added");

static void guest_callback(void *data)
{
}

static int __init guest_init(void)
{
	struct device *host = dt_callback_host(guest_callback, NULL);
	int ret;

	if (IS_ERR(host))
		return PTR_ERR(host);
	ret = devm_add_action(host, guest_callback, NULL);
	return ret ?: fails ? -ENODEV : 0;
}

static void __exit guest_exit(void)
{
}

module_init(guest_init);
module_exit(guest_exit);
MODULE_DESCRIPTION("Leaves an action on a device of devres_test behind");
MODULE_LICENSE("GPL");
