// SPDX-License-Identifier: GPL-2.0
/*
 * A resource whose release function's module goes away (DR020): loading
 * devres_test_callback adds an action of that module to a root device of this
 * one, unloading it leaves the action there. unloaded-callback-clean, or the
 * unloading of this module, takes the action off without calling it. The
 * correct way is to do so before `rmmod devres_test_callback`. Until it is
 * taken off, `stacks` prints the action like any other: its node holds a
 * function of the kernel itself. With fails=1 the loading itself fails, and
 * leaves the action there. All kernels alike.
 */
#include <linux/err.h>
#include <linux/module.h>

#include "devres_test.h"

static struct device *host;
static void (*added_callback)(void *data);
static void *added_data;

/**
 * dt_callback_host - the device that another module adds an action to
 * @callback: the action, which is never called
 * @data: what it would be called with
 *
 * Return: an ERR_PTR with -EBUSY if there is one already
 */
struct device *dt_callback_host(void (*callback)(void *data), void *data)
{
	if (added_callback)
		return ERR_PTR(-EBUSY);
	added_callback = callback;
	added_data = data;
	return host;
}
EXPORT_SYMBOL_GPL(dt_callback_host);

static void remove_callback(void)
{
	if (!added_callback)
		return;
	devm_remove_action(host, added_callback, added_data);
	added_callback = NULL;
}

static int run_clean(const struct dt_scenario *scenario, unsigned long count)
{
	remove_callback();
	return 0;
}

int dt_callback_init(void)
{
	host = root_device_register("devres-test-callback-host");
	return PTR_ERR_OR_ZERO(host);
}

void dt_callback_exit(void)
{
	remove_callback();
	root_device_unregister(host);
}

const struct dt_scenario dt_callback_scenarios[] = {
	{ "unloaded-callback-clean", "takes off the action that devres_test_callback.ko has added", run_clean, true },
	{}
};
