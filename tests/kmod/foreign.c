// SPDX-License-Identifier: GPL-2.0
/*
 * A child device's driver puts resources on its parent, which another driver is
 * bound to. All kernels alike.
 *
 * outlives-creator (DR012): they stay when the child unbinds; the twin releases
 * them as a group in remove. dangling-action and dangling-irq (DR013, and DR012
 * with it): they moreover point to the child's memory, which is freed when the
 * child unbinds; the twin has everything on the child. Neither the action nor
 * the interrupt handler follows the pointer.
 */
#include <linux/slab.h>

#include "devres_test.h"

#define MEMORY		0
#define ACTION		1
#define DATA_OF_ACTION	2
#define DATA_OF_IRQ	3

static const struct dt_scenario *current_scenario;
static int group_id;

static void stop_child(void *data)
{
	pr_info("devres_test: action on %p\n", data);
}

static int add_to_parent(struct device *parent)
{
	if (current_scenario->variant == ACTION)
		return devm_add_action(parent, dt_stop_queue, parent);
	return devm_kzalloc(parent, 32, GFP_KERNEL) ? 0 : -ENOMEM;
}

static int outliving_probe(struct device *dev)
{
	bool grouped = current_scenario->correct;
	int ret;

	if (grouped && !devres_open_group(dev->parent, &group_id, GFP_KERNEL))
		return -ENOMEM;
	ret = add_to_parent(dev->parent);
	if (grouped)
		devres_close_group(dev->parent, &group_id);
	return ret;
}

static int dangling_probe(struct device *dev)
{
	struct device *owner = current_scenario->correct ? dev : dev->parent;
	void *block = devm_kzalloc(dev, 96, GFP_KERNEL);

	if (!block)
		return -ENOMEM;
	if (current_scenario->variant == DATA_OF_IRQ)
		return dt_irq_request(owner, dt_irq, block);
	return devm_add_action(owner, stop_child, block);
}

static int child_probe(struct device *dev)
{
	if (current_scenario->variant < DATA_OF_ACTION)
		return outliving_probe(dev);
	return dangling_probe(dev);
}

static void child_remove(struct device *dev)
{
	if (current_scenario->variant < DATA_OF_ACTION &&
	    current_scenario->correct)
		devres_release_group(dev->parent, &group_id);
}

static struct dt_driver parent_driver = { .name = "devres-test-parent" };

static struct dt_driver child_driver = {
	.name = "devres-test-child",
	.probe = child_probe,
	.remove = child_remove,
};

static int run_foreign(const struct dt_scenario *scenario, unsigned long count)
{
	struct platform_device *parent, *child;
	int ret;

	current_scenario = scenario;
	ret = dt_bind(&parent_driver, &parent, NULL);
	if (ret)
		return ret;
	ret = dt_bind(&child_driver, &child, &parent->dev);
	if (!ret)
		dt_unbind(&child_driver, child);
	dt_unbind(&parent_driver, parent);
	return ret;
}

const struct dt_scenario dt_foreign_scenarios[] = {
	{ "outlives-creator", "a child's probe adds an action to its parent and unbinds; the action stays", run_foreign, false, ACTION },
	{ "outlives-creator-ok", "the same, action released in the child's remove", run_foreign, true, ACTION },
	{ "outlives-creator-memory", "a child's probe adds memory to its parent and unbinds; the memory stays", run_foreign, false, MEMORY },
	{ "outlives-creator-memory-ok", "the same, memory released in the child's remove", run_foreign, true, MEMORY },
	{ "dangling-action", "an action on the parent points to memory of the child, which unbinds first", run_foreign, false, DATA_OF_ACTION },
	{ "dangling-action-ok", "the same, action and memory on the child", run_foreign, true, DATA_OF_ACTION },
	{ "dangling-irq", "an interrupt on the parent points to memory of the child, which unbinds first", run_foreign, false, DATA_OF_IRQ },
	{ "dangling-irq-ok", "the same, interrupt and memory on the child", run_foreign, true, DATA_OF_IRQ },
	{}
};
