// SPDX-License-Identifier: GPL-2.0
/*
 * Resources changed or given up while their device is bound: krealloc, kfree,
 * single actions, frees that find nothing. Each body runs on a platform device
 * that is bound, as from a driver's ioctl, and is unbound afterwards. Rules:
 * DR013 (krealloc-dangling, kfree-below-irq), DR015 (kfree-out-of-order,
 * kfree-below-irq), DR016 (the missing ones); all kernels alike.
 */
#include <linux/interrupt.h>
#include <linux/slab.h>

#include "devres_test.h"

static const struct dt_scenario *current_scenario;

/* REPLACE; at unbind the new block is released in the old one's place. */
static int krealloc_grow(struct device *dev)
{
	void *block = devm_kmalloc(dev, 40, GFP_KERNEL);

	if (!block || !devm_kzalloc(dev, 8, GFP_KERNEL))
		return -ENOMEM;
	return devm_krealloc(dev, block, 4000, GFP_KERNEL) ? 0 : -ENOMEM;
}

/* Nothing is logged, and the recorded size stays 33. */
static int krealloc_fit(struct device *dev)
{
	/* With the node of any kernel before it, 34 bytes need no larger slab. */
	void *block = devm_kmalloc(dev, 33, GFP_KERNEL);

	if (!block)
		return -ENOMEM;
	return devm_krealloc(dev, block, 34, GFP_KERNEL) == block ? 0 : -EPROTO;
}

static void forget_block(void *data)
{
	/* The block may be gone: its address is all that may be used. */
	pr_info("devres_test: action on %p\n", data);
}

/* An action's data is a block that moves. The twin adds the action after it. */
static int krealloc_dangling(struct device *dev)
{
	void *block = devm_kmalloc(dev, 64, GFP_KERNEL);
	int ret;

	if (!block)
		return -ENOMEM;
	if (!current_scenario->correct) {
		ret = devm_add_action(dev, forget_block, block);
		if (ret)
			return ret;
	}
	block = devm_krealloc(dev, block, 4000, GFP_KERNEL);
	if (!block)
		return -ENOMEM;
	return current_scenario->correct ?
		       devm_add_action(dev, forget_block, block) : 0;
}

/* The older of two blocks is freed first; the twin frees the younger first. */
static int kfree_order(struct device *dev)
{
	void *older = devm_kzalloc(dev, 16, GFP_KERNEL);
	void *younger = devm_kzalloc(dev, 24, GFP_KERNEL);

	if (!older || !younger)
		return -ENOMEM;
	devm_kfree(dev, current_scenario->correct ? younger : older);
	devm_kfree(dev, current_scenario->correct ? older : younger);
	return 0;
}

/*
 * Memory that a still requested interrupt and a still registered action use is
 * freed by hand. The twin frees it when they are gone.
 */
static int kfree_below_irq(struct device *dev)
{
	void *block = devm_kzalloc(dev, 32, GFP_KERNEL);
	int ret;

	if (!block)
		return -ENOMEM;
	ret = dt_irq_request(dev, dt_irq, block) ?:
	      devm_add_action(dev, forget_block, block);
	if (ret)
		return ret;
	if (current_scenario->correct) {
		devm_release_action(dev, forget_block, block);
		devm_free_irq(dev, dt_irq, block);
	}
	devm_kfree(dev, block);
	return 0;
}

/* REM without the callback. */
static int action_remove(struct device *dev)
{
	int ret = devm_add_action(dev, dt_power_off, dev) ?:
		  devm_add_action(dev, dt_stop_queue, dev);

	if (!ret)
		devm_remove_action(dev, dt_power_off, dev);
	return ret;
}

/* REM, then the callback. */
static int action_release(struct device *dev)
{
	int ret = devm_add_action(dev, dt_power_off, dev) ?:
		  devm_add_action(dev, dt_stop_queue, dev);

	if (!ret)
		devm_release_action(dev, dt_power_off, dev);
	return ret;
}

static void found_release(struct device *dev, void *res)
{
	dev_info(dev, "custom release\n");
}

static void lost_release(struct device *dev, void *res)
{
}

/* The release function to look for: the wrong entries take one never added. */
static dr_release_t sought(void)
{
	return current_scenario->correct ? found_release : lost_release;
}

static int add_custom(struct device *dev)
{
	void *res = devres_alloc(found_release, 24, GFP_KERNEL);

	if (!res)
		return -ENOMEM;
	devres_add(dev, res);
	return 0;
}

static int custom_destroy(struct device *dev)
{
	int ret = add_custom(dev);

	if (ret)
		return ret;
	ret = devres_destroy(dev, sought(), NULL, NULL);
	return ret == (current_scenario->correct ? 0 : -ENOENT) ? 0 : -EPROTO;
}

static int custom_release(struct device *dev)
{
	int ret = add_custom(dev);

	if (ret)
		return ret;
	ret = devres_release(dev, sought(), NULL, NULL);
	return ret == (current_scenario->correct ? 0 : -ENOENT) ? 0 : -EPROTO;
}

/* devres_get() that finds the resource frees the new one without an event. */
static int custom_get(struct device *dev)
{
	void *first, *res;
	int ret = add_custom(dev);

	if (ret)
		return ret;
	first = devres_find(dev, found_release, NULL, NULL);
	res = devres_alloc(found_release, 24, GFP_KERNEL);
	if (!res)
		return -ENOMEM;
	return devres_get(dev, res, NULL, NULL) == first ? 0 : -EPROTO;
}

static int (*const bodies[])(struct device *dev) = {
	krealloc_grow, krealloc_fit, krealloc_dangling, kfree_order,
	kfree_below_irq, action_remove, action_release, custom_destroy,
	custom_release, custom_get,
};

static struct dt_driver explicit_driver = { .name = "devres-test-explicit" };

static int run_explicit(const struct dt_scenario *scenario, unsigned long count)
{
	struct platform_device *pdev;
	int ret;

	current_scenario = scenario;
	ret = dt_bind(&explicit_driver, &pdev, NULL);
	if (ret)
		return ret;
	ret = bodies[scenario->variant](&pdev->dev);
	dt_unbind(&explicit_driver, pdev);
	return ret;
}

const struct dt_scenario dt_explicit_scenarios[] = {
	{ "krealloc-grow", "devm_krealloc moves a block", run_explicit, true, 0 },
	{ "krealloc-fit", "devm_krealloc leaves a block where it is", run_explicit, true, 1 },
	{ "krealloc-dangling", "a block that is an action's data moves", run_explicit, false, 2 },
	{ "krealloc-dangling-ok", "the same, action added after the move", run_explicit, true, 2 },
	{ "kfree-out-of-order", "the older of two blocks is freed first", run_explicit, false, 3 },
	{ "kfree-out-of-order-ok", "the same, the younger first", run_explicit, true, 3 },
	{ "kfree-below-irq", "a block is freed that an interrupt and an action still point to", run_explicit, false, 4 },
	{ "kfree-below-irq-ok", "the same, interrupt and action given up before", run_explicit, true, 4 },
	{ "action-remove", "devm_remove_action of the older of two actions", run_explicit, true, 5 },
	{ "action-release", "devm_release_action of the older of two actions", run_explicit, true, 6 },
	{ "destroy-missing", "devres_destroy finds nothing", run_explicit, false, 7 },
	{ "destroy-missing-ok", "the same, finds the resource", run_explicit, true, 7 },
	{ "release-missing", "devres_release finds nothing", run_explicit, false, 8 },
	{ "release-missing-ok", "the same, finds the resource", run_explicit, true, 8 },
	{ "get-existing", "devres_get finds the resource and frees the new one", run_explicit, true, 9 },
	{}
};
