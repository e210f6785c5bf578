/* A stand-in for the AWS SDK's header of this name, as far as the host uses it. */
#pragma once
#include <stdint.h>

typedef int pci_bar_handle_t;
#define PCI_BAR_HANDLE_INIT (-1)
enum { FPGA_APP_PF = 0, APP_PF_BAR0 = 0 };
int fpga_pci_init(void);
int fpga_pci_attach(int slot_id, int pf_id, int bar_id, uint32_t flags, pci_bar_handle_t *handle);
int fpga_pci_detach(pci_bar_handle_t handle);
int fpga_pci_poke(pci_bar_handle_t handle, uint64_t offset, uint32_t value);
int fpga_pci_peek(pci_bar_handle_t handle, uint64_t offset, uint32_t *value);
