/* Host of the block @name@ on an AWS F2 card: stored vectors over PCIe, results compared. SPDX-License-Identifier: Apache-2.0
 *
 *     host_f2 [SLOT]
 *
 * The block's words lie on OCL: AppPF, BAR 0. Link with -lfpga_mgmt, of the SDK of the AWS FPGA kit; run as root.
 */
#include <stdio.h>
#include <stdlib.h>

#include <fpga_pci.h>

#include "@name@.h"

static pci_bar_handle_t bar = PCI_BAR_HANDLE_INIT;
static unsigned lost; /* accesses that the library refused */

uint32_t cbRead(uintptr_t base, uint32_t reg)
{
    uint32_t value = 0xFFFFFFFFu;
    (void)base;
    if (fpga_pci_peek(bar, 4u * (uint64_t)reg, &value) != 0) lost++;
    return value;
}

void cbWrite(uintptr_t base, uint32_t reg, uint32_t value)
{
    (void)base;
    if (fpga_pci_poke(bar, 4u * (uint64_t)reg, value) != 0) lost++;
}

int main(int count, char **words)
{
    const int slot = count > 1 ? atoi(words[1]) : 0;
    gw_block block;
    int status;
    if (fpga_pci_init() != 0 || fpga_pci_attach(slot, FPGA_APP_PF, APP_PF_BAR0, 0, &bar) != 0) {
        fprintf(stderr, "slot %d has no image that can be reached: fpga-describe-local-image -S %d tells more\n", slot,
                slot);
        return EXIT_FAILURE;
    }
    status = gw_open(&block, 0, &@name@);
    if (status == GW_OK) status = gw_self_test(&block);
    fprintf(stderr, "%u vectors: %s\n", (unsigned)@name@.vectors, gw_message(status));
    if (lost > 0) fprintf(stderr, "%u accesses were refused by the library\n", lost);
    (void)fpga_pci_detach(bar);
    return status == GW_OK && lost == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
