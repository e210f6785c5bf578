/* cbRead and cbWrite on a memory-mapped bus: include this in one C file. SPDX-License-Identifier: Apache-2.0
 *
 * Bare metal: base is the block's address (in Vivado's xparameters.h, say). Linux: base is what mmap returned for
 * /dev/uioN or /dev/mem; open it with O_SYNC. Aligned words only: a load of a byte would take a FIFO's whole word.
 */
#ifndef GW_MMIO_H
#define GW_MMIO_H

#include "gw.h"

uint32_t cbRead(uintptr_t base, uint32_t reg) { return ((volatile uint32_t *)base)[reg]; }
void cbWrite(uintptr_t base, uint32_t reg, uint32_t value) { ((volatile uint32_t *)base)[reg] = value; }

#endif
