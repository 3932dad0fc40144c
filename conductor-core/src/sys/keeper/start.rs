//! What a C library would bring: the entry point, the memory functions, the end of a panic.

use core::arch::global_asm;
use core::panic::PanicInfo;

use crate::syscall;

// The kernel enters with argc, argv, NULL, envp on the stack. They are handed on as one pointer.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {entry}",
    "ud2",
    entry = sym entry,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, #0",
    "mov x30, #0",
    "mov x0, sp",
    "and x9, x0, #-16",
    "mov sp, x9",
    "bl {entry}",
    "brk #1",
    entry = sym entry,
);

/// Arguments and environment, each a NULL-terminated array of NUL-terminated strings.
#[derive(Clone, Copy)]
pub struct Given {
    argc: usize,
    argv: *const *const u8,
}

impl Given {
    /// The address of the `n`-th argument's pointer: the array from there on.
    pub fn argv_from(&self, n: usize) -> *const *const u8 {
        // SAFETY: n is clamped to argc, and the array has argc + 1 entries.
        unsafe { self.argv.add(n.min(self.argc)) }
    }

    /// The environment's array.
    pub fn envp(&self) -> *const *const u8 {
        // SAFETY: the kernel puts it right behind the NULL of argv.
        unsafe { self.argv.add(self.argc + 1) }
    }

    /// The `n`-th argument without its NUL.
    pub fn arg(&self, n: usize) -> Option<&'static [u8]> {
        if n >= self.argc {
            return None;
        }
        // SAFETY: n < argc, so the entry is a NUL-terminated string, and it stays where it is
        // for the life of the process.
        unsafe {
            let text = *self.argv.add(n);
            let mut len = 0;
            while *text.add(len) != 0 {
                len += 1;
            }
            Some(core::slice::from_raw_parts(text, len))
        }
    }
}

/// SAFETY: called once, by `_start`, with the kernel's initial stack pointer.
unsafe extern "C" fn entry(stack: *const usize) -> ! {
    // SAFETY: argc lies at the stack pointer, argv behind it.
    let given = unsafe {
        Given {
            argc: *stack,
            argv: stack.add(1).cast(),
        }
    };
    crate::main(given)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    syscall::exit(70)
}

// The compiler calls these for copies of structures. `no_builtins` keeps it from turning the
// loops below into calls of themselves.

/// SAFETY: the C function's contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    for i in 0..n {
        // SAFETY: the caller vouches for n bytes on both sides.
        unsafe { *to.add(i) = *from.add(i) };
    }
    to
}

/// SAFETY: the C function's contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if (to as usize) <= from as usize {
        // SAFETY: forward copying is right when the target begins first.
        return unsafe { memcpy(to, from, n) };
    }
    for i in (0..n).rev() {
        // SAFETY: the caller vouches for n bytes on both sides.
        unsafe { *to.add(i) = *from.add(i) };
    }
    to
}

/// SAFETY: the C function's contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
    for i in 0..n {
        // SAFETY: the caller vouches for n bytes.
        unsafe { *to.add(i) = byte as u8 };
    }
    to
}

/// SAFETY: the C function's contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    for i in 0..n {
        // SAFETY: the caller vouches for n bytes on both sides.
        let (a, b) = unsafe { (*a.add(i), *b.add(i)) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}

/// SAFETY: the C function's contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: the same contract.
    unsafe { memcmp(a, b, n) }
}
