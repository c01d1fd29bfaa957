// SPDX-License-Identifier: GPL-2.0
/*
 * A block of managed memory in which a timer is pending, or a work item is
 * queued, when devres releases it. The twins stop it in remove. Rule: DR026;
 * the kernel does the same everywhere.
 *
 * An action that is older than the block, and therefore runs right behind its
 * release, stops what was left, in memory that has just been freed: nobody
 * else has it yet, and the allocator keeps nothing at its beginning.
 */
#include <linux/completion.h>
#include <linux/err.h>
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

enum { TIMER, WORK };

struct block {
	char before[40];
	struct timer_list timer;
	struct work_struct work;
	/* Whatever the allocator writes into free memory is behind that. */
	char behind[1600];
};

static struct block *block;
static struct workqueue_struct *queue;
static DECLARE_COMPLETION(may_go_on);

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

static void stop(void)
{
	if (current_scenario->variant == TIMER) {
		stop_timer(&block->timer);
		return;
	}
	/* It is not running, so that there is nothing to wait for. */
	cancel_work_sync(&block->work);
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
	timer_setup(&block->timer, timer_ends, 0);
	INIT_WORK(&block->work, work_runs);
	if (current_scenario->variant == TIMER)
		mod_timer(&block->timer, jiffies + 600 * HZ);
	else
		queue_work(queue, &block->work);
	return 0;
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
	reinit_completion(&may_go_on);
	queue = alloc_ordered_workqueue("devres-test-pending", 0);
	if (!queue)
		return -ENOMEM;
	queue_work(queue, &blocking);
	ret = dt_bind_and_unbind(&pending_driver);
	complete(&may_go_on);
	destroy_workqueue(queue);
	return ret;
}

const struct dt_scenario dt_pending_scenarios[] = {
	{ "pending-timer", "a block is released in which a timer is pending", run_pending, false, TIMER },
	{ "pending-timer-ok", "remove stops the timer", run_pending, true, TIMER },
	{ "pending-work", "a block is released in which a work item is queued", run_pending, false, WORK },
	{ "pending-work-ok", "remove cancels the work item", run_pending, true, WORK },
	{}
};
