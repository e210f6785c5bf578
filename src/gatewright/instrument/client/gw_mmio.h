/* cbRead and cbWrite on a memory-mapped bus: include this in one C file, or compile
 * all of them with -DGW_MMIO. SPDX-License-Identifier: Apache-2.0
 *
 * Bare metal: base is the block's address (in Vivado's xparameters.h, say). Linux: base is what mmap returned for
 * /dev/uioN or /dev/mem; open it with O_SYNC. Aligned words only: a load of a byte would take a FIFO's whole word.
 */
#ifndef GW_MMIO_H
#define GW_MMIO_H

#include <stdint.h>

#ifdef GW_MMIO
#define GW_ACCESS static inline
#else
#include "gw.h"
#define GW_ACCESS
#endif

GW_ACCESS uint32_t cbRead(uintptr_t base, uint32_t reg) { return ((volatile uint32_t *)base)[reg]; }
GW_ACCESS void cbWrite(uintptr_t base, uint32_t reg, uint32_t value) { ((volatile uint32_t *)base)[reg] = value; }

#endif
