// SPDX-License-Identifier: GPL-2.0
/* Events in numbers: nothing is wrong here, and no rule should fire. */
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "devres_test.h"

static unsigned long wanted;

static void do_nothing(void *data)
{
}

/* Blocks and actions in turn. */
static int many_probe(struct device *dev)
{
	unsigned long i;
	int ret;

	for (i = 0; i < wanted; i++) {
		if (i % 2)
			ret = devm_add_action(dev, do_nothing, NULL);
		else
			ret = devm_kmalloc(dev, 16, GFP_KERNEL) ? 0 : -ENOMEM;
		if (ret)
			return ret;
		if (!(i % 1024))
			cond_resched();
	}
	return 0;
}

static struct dt_driver many_driver = {
	.name = "devres-test-many",
	.probe = many_probe,
};

static int run_many(const struct dt_scenario *scenario, unsigned long count)
{
	wanted = count ?: 10000;
	return dt_bind_and_unbind(&many_driver);
}

/* Adds one and frees it, so that the list stays short. */
static int churn(struct device *dev)
{
	unsigned long i;

	for (i = 0; i < wanted; i++) {
		void *block = devm_kmalloc(dev, 16, GFP_KERNEL);

		if (!block)
			return -ENOMEM;
		devm_kfree(dev, block);
		if (!(i % 1024))
			cond_resched();
	}
	return 0;
}

static struct dt_driver churn_driver = {
	.name = "devres-test-churn",
	.probe = churn,
};

static int run_churn(const struct dt_scenario *scenario, unsigned long count)
{
	wanted = count ?: 10000;
	return dt_bind_and_unbind(&churn_driver);
}

/* Two tasks, each on a bound device of its own. */
struct adder {
	struct dt_driver driver;
	struct platform_device *pdev;
	struct completion done;
	int ret;
};

static struct adder adders[] = {
	{ .driver.name = "devres-test-adder-0" },
	{ .driver.name = "devres-test-adder-1" },
};

static int adder_main(void *data)
{
	struct adder *adder = data;

	adder->ret = churn(&adder->pdev->dev);
	complete(&adder->done);
	return 0;
}

static void start_adder(struct adder *adder)
{
	struct task_struct *task;

	init_completion(&adder->done);
	task = kthread_run(adder_main, adder, "%s", adder->driver.name);
	if (IS_ERR(task)) {
		adder->ret = PTR_ERR(task);
		complete(&adder->done);
	}
}

static int run_concurrent(const struct dt_scenario *scenario,
			  unsigned long count)
{
	int ret;

	wanted = count ?: 1000;
	ret = dt_bind(&adders[0].driver, &adders[0].pdev, NULL);
	if (ret)
		return ret;
	ret = dt_bind(&adders[1].driver, &adders[1].pdev, NULL);
	if (ret)
		goto unbind_first;
	start_adder(&adders[0]);
	start_adder(&adders[1]);
	wait_for_completion(&adders[0].done);
	wait_for_completion(&adders[1].done);
	ret = adders[0].ret ?: adders[1].ret;
	dt_unbind(&adders[1].driver, adders[1].pdev);
unbind_first:
	dt_unbind(&adders[0].driver, adders[0].pdev);
	return ret;
}

const struct dt_scenario dt_load_scenarios[] = {
	{ "many", "COUNT, or 10000, resources added in probe and released at unbind", run_many, true },
	{ "churn", "COUNT, or 10000, blocks added and freed one by one", run_churn, true },
	{ "concurrent", "two tasks add and free COUNT, or 1000, blocks on a device each", run_concurrent, true },
	{}
};
