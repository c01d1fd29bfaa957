// SPDX-License-Identifier: GPL-2.0
/*
 * Lists that grow, releases that take long, probes that are deferred again and
 * again (DR017, DR019, DR018). All kernels alike.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>

#include "devres_test.h"

static bool correct;
static unsigned long wanted;

static void undo_resume(void *data)
{
}

/* As in a driver that adds an action on each resume; the twin releases it. */
static int growing_resume(struct device *dev)
{
	return devm_add_action(dev, undo_resume, dev);
}

static int growing_suspend(struct device *dev)
{
	if (correct)
		devm_release_action(dev, undo_resume, dev);
	return 0;
}

static const struct dev_pm_ops growing_pm = {
	SET_RUNTIME_PM_OPS(growing_suspend, growing_resume, NULL)
};

static int resuming_probe(struct device *dev)
{
	pm_runtime_enable(dev);
	return 0;
}

static void resuming_remove(struct device *dev)
{
	pm_runtime_disable(dev);
	pm_runtime_set_suspended(dev);
}

static struct dt_driver resuming_driver = {
	.name = "devres-test-growth-resume",
	.probe = resuming_probe,
	.remove = resuming_remove,
	.pm = &growing_pm,
};

static int run_growth_resume(const struct dt_scenario *scenario,
			     unsigned long count)
{
	struct platform_device *pdev;
	int ret;

	correct = scenario->correct;
	ret = dt_bind(&resuming_driver, &pdev, NULL);
	if (ret)
		return ret;
	for (count = count ?: 48; count && ret >= 0; count--) {
		ret = pm_runtime_get_sync(&pdev->dev);
		pm_runtime_put_sync_suspend(&pdev->dev);
	}
	dt_unbind(&resuming_driver, pdev);
	return ret < 0 ? ret : 0;
}

/* The k-th binding adds k blocks; the twin always adds one. */
static int rebinding_probe(struct device *dev)
{
	unsigned long i;

	for (i = 0; i < wanted; i++)
		if (!devm_kzalloc(dev, 16, GFP_KERNEL))
			return -ENOMEM;
	if (!correct)
		wanted++;
	return 0;
}

static struct dt_driver rebinding_driver = {
	.name = "devres-test-growth-rebind",
	.probe = rebinding_probe,
};

static int run_growth_rebind(const struct dt_scenario *scenario,
			     unsigned long count)
{
	struct platform_device *pdev;
	int ret;

	correct = scenario->correct;
	wanted = 1;
	ret = dt_bind(&rebinding_driver, &pdev, NULL);
	if (ret)
		return ret;
	for (count = count ?: 6; count && !ret; count--) {
		device_release_driver(&pdev->dev);
		ret = dt_rebind(&pdev->dev);
	}
	dt_unbind(&rebinding_driver, pdev);
	return ret;
}

static void take_long(void *data)
{
	if (!correct)
		msleep(wanted);
}

static int slow_probe(struct device *dev)
{
	return devm_add_action(dev, dt_power_off, dev) ?:
	       devm_add_action(dev, take_long, dev);
}

static struct dt_driver slow_driver = {
	.name = "devres-test-slow",
	.probe = slow_probe,
};

static int run_slow(const struct dt_scenario *scenario, unsigned long count)
{
	correct = scenario->correct;
	wanted = count ?: 200;
	return dt_bind_and_unbind(&slow_driver);
}

static DECLARE_COMPLETION(probed);

static int deferring_probe(struct device *dev)
{
	int ret = devm_kzalloc(dev, 16, GFP_KERNEL) ? 0 : -ENOMEM;

	if (!ret)
		ret = devm_add_action(dev, dt_power_off, dev);
	if (!ret && wanted) {
		wanted--;
		ret = -EPROBE_DEFER;
	}
	complete(&probed);
	return ret;
}

static struct dt_driver deferring_driver = {
	.name = "devres-test-deferral",
	.probe = deferring_probe,
};

/* The first probe runs in this task, the others in the core's work item. */
static int run_deferral(const struct dt_scenario *scenario, unsigned long count)
{
	struct platform_device *pdev;
	int ret;

	wanted = scenario->correct ? 1 : count ?: 12;
	reinit_completion(&probed);
	ret = dt_driver_register(&deferring_driver);
	if (ret)
		return ret;
	pdev = dt_device_register(deferring_driver.name, NULL);
	if (IS_ERR(pdev)) {
		dt_driver_unregister(&deferring_driver);
		return PTR_ERR(pdev);
	}
	wait_for_completion(&probed);
	/* dt_is_bound() waits for the device lock, which the probing task holds. */
	while (!ret && !dt_is_bound(&pdev->dev)) {
		ret = dt_retry_deferred();
		if (!ret && !wait_for_completion_timeout(&probed, 10 * HZ))
			ret = -ETIMEDOUT;
	}
	dt_unbind(&deferring_driver, pdev);
	return ret;
}

const struct dt_scenario dt_growth_scenarios[] = {
	{ "growth-resume", "each resume adds an action; COUNT resumes, or 48", run_growth_resume, false },
	{ "growth-resume-ok", "the same, suspend releases it", run_growth_resume, true },
	{ "growth-rebind", "each binding adds one block more than the last; COUNT bindings, or 6", run_growth_rebind, false },
	{ "growth-rebind-ok", "the same with one block each", run_growth_rebind, true },
	{ "slow-release", "an action sleeps COUNT, or 200, ms", run_slow, false },
	{ "slow-release-ok", "the same without sleeping", run_slow, true },
	{ "deferral-churn", "COUNT, or 12, deferred probes before one succeeds", run_deferral, false },
	{ "deferral-churn-ok", "the same with one", run_deferral, true },
	{}
};
