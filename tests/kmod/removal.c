// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that come and go: many of them, whose addresses are used again at
 * once, and such that several tasks unbind, bind and unregister at the same
 * time. Nothing is wrong here, and no rule should fire.
 */
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "devres_test.h"

static void do_nothing(void *data)
{
}

static int removal_probe(struct device *dev)
{
	if (!devm_kzalloc(dev, 32, GFP_KERNEL))
		return -ENOMEM;
	return devm_add_action(dev, do_nothing, NULL);
}

static struct dt_driver fleeting_driver = {
	.name = "devres-test-fleeting",
	.probe = removal_probe,
};

/* So many are there at once: the next ones get the memory of these. */
#define AT_ONCE 16

static int come_and_go(unsigned int count)
{
	struct platform_device *devices[AT_ONCE];
	unsigned int made;
	int ret = 0;

	for (made = 0; made < count; made++) {
		devices[made] = platform_device_register_simple(
			fleeting_driver.name, made, NULL, 0);
		if (IS_ERR(devices[made])) {
			ret = PTR_ERR(devices[made]);
			break;
		}
	}
	while (made--)
		platform_device_unregister(devices[made]);
	cond_resched();
	return ret;
}

static int run_fleeting(const struct dt_scenario *scenario,
			unsigned long count)
{
	unsigned long left = count ?: 64;
	int ret = dt_driver_register(&fleeting_driver);

	if (ret)
		return ret;
	while (left && !ret) {
		unsigned int now = min_t(unsigned long, left, AT_ONCE);

		ret = come_and_go(now);
		left -= now;
	}
	dt_driver_unregister(&fleeting_driver);
	return ret;
}

static struct dt_driver racing_driver = {
	.name = "devres-test-racing",
	.probe = removal_probe,
};

/* One of the tasks that are after the same device. */
struct racer {
	const char *name;
	void (*act)(struct platform_device *pdev);
	struct platform_device *pdev;
	struct completion *start;
	struct completion done;
};

static void unbind(struct platform_device *pdev)
{
	device_release_driver(&pdev->dev);
}

/* If it is not there any more, it is not bound. */
static void bind(struct platform_device *pdev)
{
	if (device_attach(&pdev->dev) < 0)
		dev_dbg(&pdev->dev, "not bound again\n");
}

static struct racer racers[] = {
	{ .name = "racing-unbind", .act = unbind },
	{ .name = "racing-bind", .act = bind },
	{ .name = "racing-again", .act = unbind },
	{ .name = "racing-remove", .act = platform_device_unregister },
};

static int racer_main(void *data)
{
	struct racer *racer = data;

	wait_for_completion(racer->start);
	racer->act(racer->pdev);
	complete(&racer->done);
	return 0;
}

/* Unregistering is the last one's; without a task it is done here. */
static int race(struct platform_device *pdev)
{
	DECLARE_COMPLETION_ONSTACK(start);
	struct task_struct *task;
	unsigned int i;
	int ret = 0;

	get_device(&pdev->dev);
	for (i = 0; i < ARRAY_SIZE(racers); i++) {
		racers[i].pdev = pdev;
		racers[i].start = &start;
		init_completion(&racers[i].done);
		task = kthread_run(racer_main, &racers[i], "%s",
				   racers[i].name);
		if (IS_ERR(task)) {
			ret = PTR_ERR(task);
			if (racers[i].act == platform_device_unregister)
				platform_device_unregister(pdev);
			complete(&racers[i].done);
		}
	}
	complete_all(&start);
	for (i = 0; i < ARRAY_SIZE(racers); i++)
		wait_for_completion(&racers[i].done);
	put_device(&pdev->dev);
	return ret;
}

static int run_racing(const struct dt_scenario *scenario, unsigned long count)
{
	unsigned long left = count ?: 16;
	int ret = dt_driver_register(&racing_driver);

	if (ret)
		return ret;
	while (left-- && !ret) {
		struct platform_device *pdev =
			dt_device_register(racing_driver.name, NULL);

		ret = PTR_ERR_OR_ZERO(pdev);
		if (!ret)
			ret = race(pdev);
	}
	dt_driver_unregister(&racing_driver);
	return ret;
}

const struct dt_scenario dt_removal_scenarios[] = {
	{ "fleeting-devices", "COUNT, or 64, devices registered, bound and unregistered, 16 at a time", run_fleeting, true },
	{ "racing-removals", "COUNT, or 16, devices that four tasks unbind, bind and unregister at once", run_racing, true },
	{}
};
