# Subroutines of the micro-guests, in 64-bit mode with memory mapped one to one. They keep all registers but those named.
# Everything is position-independent: the section is loaded whole at 1 MiB.

    .section micro, "axR", @progbits
    .balign 16

# Prints the character AL.
    .globl micro_putc
micro_putc:
    push rdx
    mov edx, 0x3f8
    out dx, al
    pop rdx
    ret

# Prints the text at RSI up to a zero. Changes RSI and AL.
    .globl micro_puts
micro_puts:
    lodsb
    test al, al
    jz 2f
    call micro_putc
    jmp micro_puts
2:  ret

# Prints EAX as eight hexadecimal digits and a newline.
    .globl micro_hex
micro_hex:
    push rcx
    push rax
    mov ecx, 8
1:  rol eax, 4
    push rax
    and al, 15
    add al, 0x30
    cmp al, 0x3a
    jb 2f
    add al, 39
2:  call micro_putc
    pop rax
    dec ecx
    jnz 1b
    mov al, 10
    call micro_putc
    pop rax
    pop rcx
    ret

# Waits for a character on the serial port: AL.
    .globl micro_getc
micro_getc:
    push rdx
    mov edx, 0x3fd
1:  in al, dx
    test al, 1
    jz 1b
    mov edx, 0x3f8
    in al, dx
    pop rdx
    ret

# Powers off (S5 through the sleep control register).
    .globl micro_off
micro_off:
    mov edx, 0x600
    mov al, 0x34
    out dx, al
1:  hlt
    jmp 1b

# Finds the first virtio device of type EDI on bus 0 and negotiates the features ESI with it, VERSION_1 besides.
# Gives its registers: R8 configuration space, R9 BAR 0, RBX common configuration, R13 notification, R14 device
# configuration. Changes RAX, RCX, R10, R11. Prints "none" and powers off if there is no such device.
    .globl micro_virtio
micro_virtio:
    mov r8d, 0xe0008000
    mov ecx, 31
1:  mov eax, [r8]
    cmp ax, 0x1af4
    jne 2f
    shr eax, 16
    sub eax, 0x1040
    cmp eax, edi
    je 3f
2:  add r8, 0x8000
    dec ecx
    jnz 1b
    lea rsi, [rip + 9f]
    call micro_puts
    jmp micro_off
9:  .asciz "none\n"
3:  mov word ptr [r8 + 4], 6
    mov r9d, [r8 + 0x10]
    and r9d, -16
    movzx r10d, byte ptr [r8 + 0x34]
4:  cmp byte ptr [r8 + r10], 9
    jne 5f
    mov r11d, [r8 + r10 + 8]
    add r11, r9
    movzx eax, byte ptr [r8 + r10 + 3]
    cmp eax, 1
    cmove rbx, r11
    cmp eax, 2
    cmove r13, r11
    cmp eax, 4
    cmove r14, r11
5:  movzx r10d, byte ptr [r8 + r10 + 1]
    test r10d, r10d
    jnz 4b
    mov byte ptr [rbx + 0x14], 0
    mov byte ptr [rbx + 0x14], 3
    mov dword ptr [rbx + 0x08], 0
    mov [rbx + 0x0c], esi
    mov dword ptr [rbx + 0x08], 1
    mov dword ptr [rbx + 0x0c], 1
    mov byte ptr [rbx + 0x14], 11
    ret

# Sets up queue EDI with 8 descriptors in three pages at ESI: descriptors, available ring, used ring. Changes EAX.
    .globl micro_queue
micro_queue:
    mov [rbx + 0x16], di
    mov word ptr [rbx + 0x18], 8
    mov [rbx + 0x20], esi
    lea eax, [rsi + 0x1000]
    mov [rbx + 0x28], eax
    lea eax, [rsi + 0x2000]
    mov [rbx + 0x30], eax
    mov word ptr [rbx + 0x1c], 1
    ret

# Says that the driver is ready. Queues run from here.
    .globl micro_ready
micro_ready:
    mov byte ptr [rbx + 0x14], 15
    ret

# Writes a descriptor at RDI: address RAX, length ECX, flags in the low half of EDX and next in the high half. RDI moves on.
    .globl micro_desc
micro_desc:
    mov [rdi], rax
    mov [rdi + 8], ecx
    mov [rdi + 12], edx
    add rdi, 16
    ret

# Makes descriptor DX of the rings at RSI available to queue EDI, and waits until it was used. EAX is the used length.
# Changes RCX. Gives up, prints "needs reset" and powers off when the device asks for a reset.
    .globl micro_submit
micro_submit:
    movzx ecx, word ptr [rsi + 0x1002]
    and ecx, 7
    mov [rsi + rcx * 2 + 0x1004], dx
    inc word ptr [rsi + 0x1002]
    mov ecx, edi
    mov [r13 + rcx * 4], di
1:  test byte ptr [rbx + 0x14], 0x40
    jnz 2f
    mov ax, [rsi + 0x1002]
    cmp ax, [rsi + 0x2002]
    jne 1b
    dec eax
    and eax, 7
    mov eax, [rsi + rax * 8 + 0x2008]
    ret
2:  lea rsi, [rip + 9f]
    call micro_puts
    jmp micro_off
9:  .asciz "needs reset\n"
