// SPDX-License-Identifier: GPL-2.0
/* A SPI controller without hardware, and one device with its driver on it. */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/spi/spi.h>
#include <linux/string.h>

#include "devres_test.h"

/* The return type of a SPI driver's remove(). */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 18, 0)
#define SPI_REMOVE void
#define SPI_REMOVED
#else
#define SPI_REMOVE int
#define SPI_REMOVED 0
#endif

static const struct dt_spi_ops *current_ops;
static struct device *root;
static struct spi_controller *controller;

static int spi_probe_device(struct spi_device *spi)
{
	return current_ops->probe(&spi->dev);
}

static SPI_REMOVE spi_remove_device(struct spi_device *spi)
{
	current_ops->remove(&spi->dev);
	return SPI_REMOVED;
}

static const struct spi_device_id spi_ids[] = {
	{ .name = "devres-test-spi" },
	{}
};

static const struct spi_driver driver_template = {
	.probe = spi_probe_device,
	.remove = spi_remove_device,
	.id_table = spi_ids,
	.driver = {
		.name = "devres-test-spi",
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
	},
};

static struct spi_driver driver;

static int transfer_nothing(struct spi_controller *ctlr, struct spi_device *spi,
			    struct spi_transfer *transfer)
{
	return 0;
}

static int register_controller(void)
{
	int ret;

	root = root_device_register("devres-test-spi-host");
	if (IS_ERR(root))
		return PTR_ERR(root);
	controller = __spi_alloc_controller(root, 0, false);
	if (!controller) {
		root_device_unregister(root);
		return -ENOMEM;
	}
	controller->bus_num = -1;
	controller->num_chipselect = 1;
	controller->transfer_one = transfer_nothing;
	ret = spi_register_controller(controller);
	if (ret) {
		spi_controller_put(controller);
		root_device_unregister(root);
	}
	return ret;
}

static void unregister_controller(void)
{
	spi_unregister_controller(controller);
	root_device_unregister(root);
}

/* Returns the device in @dev whether or not its probe succeeded. */
int dt_spi_bind(const struct dt_spi_ops *ops, struct device **dev)
{
	struct spi_board_info info = {
		.modalias = "devres-test-spi",
		.max_speed_hz = 1000000,
	};
	struct spi_device *spi;
	int ret;

	current_ops = ops;
	ret = register_controller();
	if (ret)
		return ret;
	/* The driver core wants a fresh structure for each registration. */
	driver = driver_template;
	ret = spi_register_driver(&driver);
	if (ret) {
		unregister_controller();
		return ret;
	}
	spi = spi_new_device(controller, &info);
	if (!spi) {
		dt_spi_unbind();
		return -ENODEV;
	}
	*dev = &spi->dev;
	return 0;
}

/* Unregistering the controller unregisters the device on it. */
void dt_spi_unbind(void)
{
	unregister_controller();
	spi_unregister_driver(&driver);
}

bool dt_spi_owns(struct device *dev)
{
	return dev->driver == &driver.driver;
}
