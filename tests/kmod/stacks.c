// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own lists of resources, as the file `stacks`. A line per node,
 * oldest first, its fields separated by tabs:
 *
 *	device address, device name, node address, name, size, release function
 *
 * Name and size are "-" on kernels whose nodes have none (5.10). The release
 * function is the one the resource was created with: since 7.1 most nodes hold
 * a common one, behind which the resource's own is stored.
 */
#include <linux/err.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>

#include "devres_test.h"

/* struct devres_node of drivers/base/devres.c, since 7.1 of base.h. */
struct node {
	struct list_head entry;
	void *release;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 1, 0)
	void *free_node;
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 14, 0) || defined(CONFIG_DEBUG_DEVRES)
#define NODE_HAS_NAME
	const char *name;
	size_t size;
#endif
};

#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 1, 0)
/* The start of struct devres, which follows its node. */
struct resource_node {
	struct node node;
	void *release;
};

/* node.release of every struct devres, found by dt_stacks_init(). */
static void *common_release;

static void *release_function(const struct node *node)
{
	if (node->release == common_release)
		return container_of(node, struct resource_node, node)->release;
	return node->release;
}
#else
static void *release_function(const struct node *node)
{
	return node->release;
}
#endif

static struct kset *devices_kset;

static void show_device(struct seq_file *seq, struct device *dev)
{
	const struct node *node;
	unsigned long flags;

	spin_lock_irqsave(&dev->devres_lock, flags);
	list_for_each_entry(node, &dev->devres_head, entry) {
		seq_printf(seq, "%px\t%s\t%px\t", dev, dev_name(dev), node);
#ifdef NODE_HAS_NAME
		seq_printf(seq, "%s\t%zu\t", node->name ?: "-", node->size);
#else
		seq_puts(seq, "-\t-\t");
#endif
		seq_printf(seq, "%ps\n", release_function(node));
	}
	spin_unlock_irqrestore(&dev->devres_lock, flags);
}

static size_t count_devices(void)
{
	struct kobject *kobj;
	size_t count = 0;

	spin_lock(&devices_kset->list_lock);
	list_for_each_entry(kobj, &devices_kset->list, entry)
		count++;
	spin_unlock(&devices_kset->list_lock);
	return count;
}

/* References to at most @room devices; a device on its last put is left out. */
static size_t get_devices(struct kobject **devices, size_t room)
{
	struct kobject *kobj;
	size_t count = 0;

	spin_lock(&devices_kset->list_lock);
	list_for_each_entry(kobj, &devices_kset->list, entry) {
		if (count == room)
			break;
		if (kobject_get_unless_zero(kobj))
			devices[count++] = kobj;
	}
	spin_unlock(&devices_kset->list_lock);
	return count;
}

int dt_stacks_show(struct seq_file *seq, void *unused)
{
	/* Devices may appear between counting them and collecting them. */
	size_t room = count_devices() + 64, count, i;
	struct kobject **devices;

	devices = kvmalloc_array(room, sizeof(*devices), GFP_KERNEL);
	if (!devices)
		return -ENOMEM;
	count = get_devices(devices, room);
	for (i = 0; i < count; i++) {
		show_device(seq, kobj_to_dev(devices[i]));
		kobject_put(devices[i]);
	}
	kvfree(devices);
	return 0;
}

static void probe_release(struct device *dev, void *res)
{
}

/*
 * Compares the layout above with a resource of known release function and size
 * on a device of our own, so that `stacks` never prints made-up values.
 */
static int check_layout(struct device *dev)
{
	const struct node *node;
	void *res;
	int ret = 0;

	res = devres_alloc(probe_release, 24, GFP_KERNEL);
	if (!res)
		return -ENOMEM;
	devres_add(dev, res);
	node = list_last_entry(&dev->devres_head, struct node, entry);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 1, 0)
	common_release = node->release;
#endif
	if (release_function(node) != probe_release)
		ret = -EINVAL;
#ifdef NODE_HAS_NAME
	else if (node->size != 24)
		ret = -EINVAL;
#endif
	if (ret)
		pr_err("devres_test: struct devres_node has another layout here\n");
	devres_release(dev, probe_release, NULL, NULL);
	return ret;
}

int dt_stacks_init(void)
{
	struct device *dev = root_device_register("devres-test-layout");
	int ret;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	devices_kset = dev->kobj.kset;
	ret = check_layout(dev);
	root_device_unregister(dev);
	return ret;
}
