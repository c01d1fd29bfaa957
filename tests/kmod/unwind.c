// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that stay, whose probe is right as long as nothing in it fails: for
 * probes that are made to fail. Where its last acquisition fails, the wrong
 * driver frees by hand a block that a live interrupt still points to (DR013);
 * the twin frees the interrupt before that. All kernels alike. While the
 * module's parameter `hanging` is set, the unbind of the wrong one never ends.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "devres_test.h"

struct unwinding {
	struct dt_driver driver;
	struct platform_device *device;
	int irq;
	bool correct;
};

/* While this is set, the release of the first device's last resource does not end. */
static bool hanging;
module_param(hanging, bool, 0644);
MODULE_PARM_DESC(hanging, "the unbind of devres-test-unwind does not end");

static void wait_while_hanging(void *data)
{
	struct unwinding *own = data;

	while (!own->correct && READ_ONCE(hanging))
		msleep(20);
}

static int unwind_probe(struct device *dev)
{
	struct unwinding *own = container_of(dev->driver, struct unwinding,
					     driver.platform.driver);
	void *queue = devm_kzalloc(dev, 64, GFP_KERNEL);
	int ret;

	if (!queue)
		return -ENOMEM;
	ret = dt_irq_request(dev, own->irq, queue);
	if (ret)
		return ret;
	ret = devm_add_action(dev, wait_while_hanging, own);
	if (ret) {
		if (own->correct)
			devm_free_irq(dev, own->irq, queue);
		devm_kfree(dev, queue);
	}
	return ret;
}

static struct unwinding unwindings[] = {
	{ .driver = { .name = "devres-test-unwind", .probe = unwind_probe } },
	{ .driver = { .name = "devres-test-unwind-ok", .probe = unwind_probe },
	  .correct = true },
};

static int unwind_register(struct unwinding *own)
{
	int ret;

	if (own->device)
		return -EBUSY;
	own->irq = dt_irq_alloc();
	if (own->irq < 0)
		return own->irq;
	ret = dt_bind(&own->driver, &own->device, NULL);
	if (ret) {
		own->device = NULL;
		dt_irq_free(own->irq);
	}
	return ret;
}

void dt_unwind_unregister(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(unwindings); i++) {
		if (!unwindings[i].device)
			continue;
		dt_unbind(&unwindings[i].driver, unwindings[i].device);
		unwindings[i].device = NULL;
		dt_irq_free(unwindings[i].irq);
	}
}

static int run_register(const struct dt_scenario *scenario, unsigned long count)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < ARRAY_SIZE(unwindings); i++)
		ret = unwind_register(&unwindings[i]);
	if (ret)
		dt_unwind_unregister();
	return ret;
}

static int run_unregister(const struct dt_scenario *scenario,
			  unsigned long count)
{
	dt_unwind_unregister();
	return 0;
}

const struct dt_scenario dt_unwind_scenarios[] = {
	{ "unwind-register", "registers two devices whose probes can be made to fail, and unwind wrongly and rightly; they stay", run_register, true },
	{ "unwind-unregister", "takes them away again", run_unregister, true },
	{}
};
