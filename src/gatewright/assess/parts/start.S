/* The stack, variables at zero, main, and its result to the stop word. SPDX-License-Identifier: Apache-2.0 */
    .section .start, "ax"
    .globl _start
_start:
    la sp, _stack_top
    la t0, _bss_start
    la t1, _bss_end
1:  bgeu t0, t1, 2f
    sw zero, 0(t0)
    addi t0, t0, 4
    j 1b
2:  call main
    li t0, 0x80000008
    sw a0, 0(t0)
3:  j 3b
