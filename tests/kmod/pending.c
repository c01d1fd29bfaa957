// SPDX-License-Identifier: GPL-2.0
/*
 * A block of managed memory in which a timer is pending, a work item is
 * queued, or a character device, a notifier or an input handler is registered
 * when devres releases it. The twins stop or unregister it in remove. Rule:
 * DR026; the kernel does the same everywhere.
 *
 * An action that is older than the block, and therefore runs right behind its
 * release, stops what was left, in memory that has just been freed: nobody
 * else has it yet, and the allocator keeps nothing at its beginning. The block
 * is of a size that no interrupt handler asks for: with 2 KB an interrupt in
 * between could have it, and write a packet there.
 */
#include <linux/cdev.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/input.h>
#include <linux/notifier.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#include "devres_test.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
#define stop_timer del_timer_sync
#else
#define stop_timer timer_delete_sync
#endif

static const struct dt_scenario *current_scenario;

enum { TIMER, WORK, CDEV, NOTIFIER, OWN_CHAIN, INPUT };

struct block {
	char before[40];
	struct timer_list timer;
	struct work_struct work;
	struct cdev cdev;
	struct notifier_block notifier;
	struct input_handler handler;
	struct raw_notifier_head own_chain;
	/* Whatever the allocator writes into free memory is behind that. */
	char behind[6000];
};

static struct block *block;
static struct workqueue_struct *queue;
static DECLARE_COMPLETION(may_go_on);
static dev_t number;
static RAW_NOTIFIER_HEAD(chain);

static void timer_ends(struct timer_list *timer)
{
}

static void work_runs(struct work_struct *work)
{
}

/* As long as this one runs, the others in its queue wait. */
static void block_queue(struct work_struct *work)
{
	wait_for_completion(&may_go_on);
}

static DECLARE_WORK(blocking, block_queue);

static const struct file_operations no_operations = {
	.owner = THIS_MODULE,
};

static int hear(struct notifier_block *notifier, unsigned long action, void *data)
{
	return NOTIFY_DONE;
}

/* No input device fits its table. */
static int connect_none(struct input_handler *handler, struct input_dev *dev,
			const struct input_device_id *id)
{
	return -ENODEV;
}

static void disconnect_none(struct input_handle *handle)
{
}

static const struct input_device_id no_input_devices[] = { {} };

static int start(void)
{
	switch (current_scenario->variant) {
	case TIMER:
		timer_setup(&block->timer, timer_ends, 0);
		mod_timer(&block->timer, jiffies + 600 * HZ);
		return 0;
	case WORK:
		INIT_WORK(&block->work, work_runs);
		queue_work(queue, &block->work);
		return 0;
	case CDEV:
		cdev_init(&block->cdev, &no_operations);
		return cdev_add(&block->cdev, number, 1);
	case NOTIFIER:
		block->notifier.notifier_call = hear;
		return raw_notifier_chain_register(&chain, &block->notifier);
	case OWN_CHAIN:
		RAW_INIT_NOTIFIER_HEAD(&block->own_chain);
		block->notifier.notifier_call = hear;
		return raw_notifier_chain_register(&block->own_chain, &block->notifier);
	default:
		block->handler.name = "devres-test-pending";
		block->handler.connect = connect_none;
		block->handler.disconnect = disconnect_none;
		block->handler.id_table = no_input_devices;
		return input_register_handler(&block->handler);
	}
}

static void stop(void)
{
	switch (current_scenario->variant) {
	case TIMER:
		stop_timer(&block->timer);
		return;
	case WORK:
		/* It is not running, so that there is nothing to wait for. */
		cancel_work_sync(&block->work);
		return;
	case CDEV:
		cdev_del(&block->cdev);
		return;
	case NOTIFIER:
		raw_notifier_chain_unregister(&chain, &block->notifier);
		return;
	case OWN_CHAIN:
		/* It goes with the chain: nobody is left to call it. */
		return;
	default:
		input_unregister_handler(&block->handler);
	}
}

static void stop_late(void *unused)
{
	if (!current_scenario->correct)
		stop();
}

static int pending_probe(struct device *dev)
{
	int ret = devm_add_action(dev, stop_late, NULL);

	if (ret)
		return ret;
	block = devm_kzalloc(dev, sizeof(*block), GFP_KERNEL);
	if (!block)
		return -ENOMEM;
	return start();
}

static void pending_remove(struct device *dev)
{
	if (current_scenario->correct)
		stop();
}

static struct dt_driver pending_driver = {
	.name = "devres-test-pending",
	.probe = pending_probe,
	.remove = pending_remove,
};

static int run_pending(const struct dt_scenario *scenario, unsigned long count)
{
	int ret;

	current_scenario = scenario;
	ret = alloc_chrdev_region(&number, 0, 1, "devres-test-pending");
	if (ret)
		return ret;
	reinit_completion(&may_go_on);
	queue = alloc_ordered_workqueue("devres-test-pending", 0);
	if (!queue) {
		unregister_chrdev_region(number, 1);
		return -ENOMEM;
	}
	queue_work(queue, &blocking);
	ret = dt_bind_and_unbind(&pending_driver);
	complete(&may_go_on);
	destroy_workqueue(queue);
	unregister_chrdev_region(number, 1);
	return ret;
}

const struct dt_scenario dt_pending_scenarios[] = {
	{ "pending-timer", "a block is released in which a timer is pending", run_pending, false, TIMER },
	{ "pending-timer-ok", "remove stops the timer", run_pending, true, TIMER },
	{ "pending-work", "a block is released in which a work item is queued", run_pending, false, WORK },
	{ "pending-work-ok", "remove cancels the work item", run_pending, true, WORK },
	{ "registered-cdev", "a block is released in which a character device is registered", run_pending, false, CDEV },
	{ "registered-cdev-ok", "remove deletes the character device", run_pending, true, CDEV },
	{ "registered-notifier", "a block is released in which a notifier is registered", run_pending, false, NOTIFIER },
	{ "registered-notifier-ok", "remove unregisters the notifier", run_pending, true, NOTIFIER },
	{ "registered-own-chain-ok", "a block is released with a notifier and the chain that has it", run_pending, true,
	  OWN_CHAIN },
	{ "registered-input-handler", "a block is released in which an input handler is registered", run_pending, false,
	  INPUT },
	{ "registered-input-handler-ok", "remove unregisters the input handler", run_pending, true, INPUT },
	{}
};
