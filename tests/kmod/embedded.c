// SPDX-License-Identifier: GPL-2.0
/*
 * A device that lies in its parent's managed memory (DR013). All kernels alike.
 *
 * embedded-device: remove unregisters it, and somebody still holds a reference,
 * as an open file would, when the memory is freed. That reference is never put
 * here, because putting it would use freed memory. The twin's has been put by
 * then.
 */
#include <linux/device.h>
#include <linux/slab.h>

#include "devres_test.h"

struct embedding {
	struct device dev;
	char rest[32];
};

static const struct dt_scenario *current_scenario;

static void embedded_release(struct device *dev)
{
}

static int embedding_probe(struct device *parent)
{
	struct embedding *block;
	int ret;

	block = devm_kzalloc(parent, sizeof(*block), GFP_KERNEL);
	if (!block)
		return -ENOMEM;
	dev_set_drvdata(parent, block);
	device_initialize(&block->dev);
	block->dev.parent = parent;
	block->dev.release = embedded_release;
	ret = dev_set_name(&block->dev, "devres-test-embedded.0") ?:
	      device_add(&block->dev);
	if (ret)
		put_device(&block->dev);
	return ret;
}

static void embedding_remove(struct device *parent)
{
	struct embedding *block = dev_get_drvdata(parent);

	if (current_scenario->correct)
		device_unregister(&block->dev);
	else
		device_del(&block->dev);
}

static struct dt_driver embedding_driver = {
	.name = "devres-test-embedding",
	.probe = embedding_probe,
	.remove = embedding_remove,
};

static int run_embedded(const struct dt_scenario *scenario, unsigned long count)
{
	current_scenario = scenario;
	return dt_bind_and_unbind(&embedding_driver);
}

const struct dt_scenario dt_embedded_scenarios[] = {
	{ "embedded-device", "a device in managed memory is still held when the memory is freed", run_embedded, false },
	{ "embedded-device-ok", "the same, its last reference put before", run_embedded, true },
	{}
};
