/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* No code here asks for the version: features are probed. BCC only wants the macros to exist. */
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#define LINUX_VERSION_CODE KERNEL_VERSION(5, 8, 0)
