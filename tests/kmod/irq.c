// SPDX-License-Identifier: GPL-2.0
/*
 * A managed interrupt in its driver's last moments. All kernels alike.
 *
 * irq-after-remove (DR014): the interrupt fires when remove has returned and
 * before it is released, from an action added after it; the twin frees it in
 * remove, and raising it then does nothing. irq-double-free (DR021): remove
 * frees it with free_irq(), so its release WARNs; the twin uses devm_free_irq().
 */
#include <linux/interrupt.h>

#include "devres_test.h"

static bool correct;

static void raise_irq(void *data)
{
	dev_info(data, "action: interrupt fires\n");
	dt_irq_raise(dt_irq);
}

static int late_probe(struct device *dev)
{
	return dt_irq_request(dev, dt_irq, dev) ?:
	       devm_add_action(dev, raise_irq, dev);
}

static void late_remove(struct device *dev)
{
	if (correct)
		devm_free_irq(dev, dt_irq, dev);
}

static struct dt_driver late_driver = {
	.name = "devres-test-irq-late",
	.probe = late_probe,
	.remove = late_remove,
};

static int double_probe(struct device *dev)
{
	return dt_irq_request(dev, dt_irq, dev);
}

static void double_remove(struct device *dev)
{
	if (correct)
		devm_free_irq(dev, dt_irq, dev);
	else
		free_irq(dt_irq, dev);
}

static struct dt_driver double_driver = {
	.name = "devres-test-irq-double",
	.probe = double_probe,
	.remove = double_remove,
};

static int run_late(const struct dt_scenario *scenario, unsigned long count)
{
	correct = scenario->correct;
	return dt_bind_and_unbind(&late_driver);
}

static int run_double(const struct dt_scenario *scenario, unsigned long count)
{
	correct = scenario->correct;
	return dt_bind_and_unbind(&double_driver);
}

const struct dt_scenario dt_irq_scenarios[] = {
	{ "irq-after-remove", "a managed interrupt fires between remove and its release", run_late, false },
	{ "irq-after-remove-ok", "the same, interrupt freed in remove", run_late, true },
	{ "irq-double-free", "a managed interrupt is freed with free_irq (WARN at its release)", run_double, false },
	{ "irq-double-free-ok", "the same with devm_free_irq", run_double, true },
	{}
};
