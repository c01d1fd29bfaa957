// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is freed by hand although a managed action or interrupt is still
 * called with it: in remove, and in a probe that fails. In the twins the action
 * frees the memory itself, or is removed and never runs, or the interrupt is
 * freed first. Neither action nor handler looks at the memory. Rule: DR025; all
 * kernels alike.
 */
#include <linux/interrupt.h>
#include <linux/slab.h>

#include "devres_test.h"

static const struct dt_scenario *current_scenario;

enum { ACTION_RUNS, ACTION_REMOVED, IRQ_IN_FAILED_PROBE };

static void note_memory(void *memory)
{
	/* It may be gone: its address is all that may be used. */
	pr_info("devres_test: action on %p\n", memory);
}

static void free_memory(void *memory)
{
	kfree(memory);
}

static int freed_probe(struct device *dev)
{
	void *memory = kzalloc(64, GFP_KERNEL);
	int ret;

	if (!memory)
		return -ENOMEM;
	dev_set_drvdata(dev, memory);
	if (current_scenario->variant == IRQ_IN_FAILED_PROBE) {
		ret = dt_irq_request(dev, dt_irq, memory) ?: -EIO;
		if (ret == -EIO && current_scenario->correct)
			devm_free_irq(dev, dt_irq, memory);
	} else if (current_scenario->variant == ACTION_RUNS &&
		   current_scenario->correct) {
		return devm_add_action_or_reset(dev, free_memory, memory);
	} else {
		ret = devm_add_action(dev, note_memory, memory);
	}
	if (ret)
		kfree(memory);
	return ret;
}

static void freed_remove(struct device *dev)
{
	void *memory = dev_get_drvdata(dev);

	if (current_scenario->variant == ACTION_RUNS &&
	    current_scenario->correct)
		return;
	kfree(memory);
	if (current_scenario->variant == ACTION_REMOVED)
		devm_remove_action(dev, note_memory, memory);
}

static struct dt_driver freed_driver = {
	.name = "devres-test-freed",
	.probe = freed_probe,
	.remove = freed_remove,
};

static int run_freed(const struct dt_scenario *scenario, unsigned long count)
{
	int ret;

	current_scenario = scenario;
	ret = dt_bind_and_unbind(&freed_driver);
	/* dt_bind() says so of any probe that fails. */
	if (scenario->variant == IRQ_IN_FAILED_PROBE)
		return ret == -ENXIO ? 0 : -EPROTO;
	return ret;
}

const struct dt_scenario dt_freed_scenarios[] = {
	{ "freed-under-action", "remove frees what an action is called with, and the action runs", run_freed, false, ACTION_RUNS },
	{ "freed-under-action-ok", "the action frees what it is called with", run_freed, true, ACTION_RUNS },
	{ "freed-action-removed-ok", "remove frees what an action is called with, and removes the action", run_freed, true, ACTION_REMOVED },
	{ "freed-under-irq", "a probe that fails frees what a managed interrupt is called with", run_freed, false, IRQ_IN_FAILED_PROBE },
	{ "freed-under-irq-ok", "a probe that fails frees the interrupt first", run_freed, true, IRQ_IN_FAILED_PROBE },
	{}
};
