/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * Load-time settings. The loader writes them before it loads the program and they never change
 * afterwards, so the verifier treats each as a constant.
 */
#ifndef SHUNT_BPF_SETTINGS_H
#define SHUNT_BPF_SETTINGS_H

#include "bpf/abi.h"

const volatile struct shunt_settings settings = {
	.abi_version = SHUNT_ABI_VERSION,
};

#endif
