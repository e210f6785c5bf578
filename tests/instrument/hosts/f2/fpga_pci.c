/* A stand-in for the AWS SDK's library: standard input and output lead to a block, which serves `r WORD`, `w WORD VALUE`. */
#include "fpga_pci.h"

#include <inttypes.h>
#include <stdio.h>

int fpga_pci_init(void) { return 0; }

int fpga_pci_attach(int slot_id, int pf_id, int bar_id, uint32_t flags, pci_bar_handle_t *handle)
{
    if (slot_id != 0 || pf_id != FPGA_APP_PF || bar_id != APP_PF_BAR0 || flags != 0) return 1;
    *handle = 7;
    return 0;
}

int fpga_pci_detach(pci_bar_handle_t handle) { return handle != 7; }

int fpga_pci_poke(pci_bar_handle_t handle, uint64_t offset, uint32_t value)
{
    if (handle != 7 || offset % 4 || offset > 252) return 1;
    return fprintf(stdout, "w %" PRIu64 " %" PRIu32 "\n", offset / 4, value) < 0;
}

int fpga_pci_peek(pci_bar_handle_t handle, uint64_t offset, uint32_t *value)
{
    if (handle != 7 || offset % 4 || offset > 252) return 1;
    printf("r %" PRIu64 "\n", offset / 4);
    fflush(stdout);
    return scanf("%" SCNu32, value) != 1;
}
