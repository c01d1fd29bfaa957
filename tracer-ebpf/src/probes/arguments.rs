//! The arguments of a probed function as plain words, and what they point to.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::{
    helpers::{
        bpf_probe_read_kernel,
        generated::{self, bpf_probe_read_kernel_str},
    },
    programs::{ProbeContext, RetProbeContext},
};

/// Where a probe runs, for the helpers that want to know.
pub(crate) type Context = *mut c_void;

/// The first `N` words of the context of a tracepoint, fentry or fexit program: the arguments, and behind
/// them, for fexit, the returned value.
///
/// They are read through a helper, not directly: so they are numbers to the verifier, which would
/// otherwise insist on their types and refuse function pointers altogether.
#[inline(always)]
pub(crate) fn words<const N: usize>(context: Context) -> [u64; N] {
    // SAFETY: the helper checks the address; words behind the last argument are read but not used.
    unsafe { bpf_probe_read_kernel(context.cast::<[u64; N]>()) }.unwrap_or([0; N])
}

/// The arguments of a tracepoint that has five, read directly. In a program that is typed by BTF a pointer to a structure
/// is more than a number to the verifier, see [`Typed`]; all else is a number.
///
/// # Safety
/// `context` is that of a tracepoint with five arguments, none of which points to a function.
#[inline(always)]
pub(crate) unsafe fn arguments(context: Context) -> [u64; 5] {
    // SAFETY: by contract. Each is read by itself and for sure, because the verifier wants no other access.
    let argument = |index| unsafe { context.cast::<u64>().add(index).read_volatile() };
    [
        argument(0),
        argument(1),
        argument(2),
        argument(3),
        argument(4),
    ]
}

/// The first three arguments from a kprobe's registers.
#[inline(always)]
pub(crate) fn registers(context: &ProbeContext) -> [u64; 3] {
    [
        context.arg(0).unwrap_or(0),
        context.arg(1).unwrap_or(0),
        context.arg(2).unwrap_or(0),
    ]
}

/// The returned value from a kretprobe's registers.
#[inline(always)]
pub(crate) fn returned(context: &RetProbeContext) -> u64 {
    context.ret()
}

/// Reads a kernel address; zero where it can't be read, which is what a NULL pointer on the way gives.
#[inline(always)]
pub(crate) fn kernel_word(address: u64) -> u64 {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel(address as *const u64) }.unwrap_or(0)
}

/// The first words of a structure, read at once: members that lie near its beginning are had for the price
/// of one.
pub(crate) struct Beginning {
    address: u64,
    words: [u64; Self::WORDS],
}

impl Beginning {
    const WORDS: usize = 16;
    const BYTES: u32 = 8 * Self::WORDS as u32;

    /// Reads the first words at `address`.
    #[inline(always)]
    pub(crate) fn read(address: u64) -> Self {
        let mut words = MaybeUninit::<[u64; Self::WORDS]>::uninit();
        // SAFETY: the helper checks the address, and fills the place with zeros where it fails.
        let words = unsafe {
            generated::bpf_probe_read_kernel(
                words.as_mut_ptr().cast(),
                Self::BYTES,
                address as *const c_void,
            );
            words.assume_init()
        };
        Self { address, words }
    }

    /// The word at this offset, which is constant to the verifier.
    #[inline(always)]
    pub(crate) fn word(&self, offset: u32) -> u64 {
        if offset + 8 <= Self::BYTES {
            self.words[(offset / 8) as usize % Self::WORDS]
        } else {
            kernel_word(self.address.wrapping_add(u64::from(offset)))
        }
    }

    /// The four words from this offset on, which is constant to the verifier.
    #[inline(always)]
    pub(crate) fn four_words(&self, offset: u32) -> [u64; 4] {
        if offset + 32 <= Self::BYTES {
            let word = |index| self.words[((offset / 8) as usize + index) % Self::WORDS];
            return [word(0), word(1), word(2), word(3)];
        }
        let address = self.address.wrapping_add(u64::from(offset));
        // SAFETY: the helper checks the address.
        unsafe { bpf_probe_read_kernel(address as *const [u64; 4]) }.unwrap_or([0; 4])
    }
}

/// A kernel structure whose members are read, in the way that the program has for it.
pub(crate) trait Structure {
    /// The word at this offset, which is constant to the verifier.
    fn word(&self, offset: u32) -> u64;
}

impl Structure for Beginning {
    #[inline(always)]
    fn word(&self, offset: u32) -> u64 {
        Self::word(self, offset)
    }
}

/// A structure whose type the verifier knows, so that its members are loaded without a helper.
pub(crate) struct Typed(u64);

impl Typed {
    /// The structure at this address.
    ///
    /// # Safety
    /// To the verifier `address` is a pointer to a structure that has a member of a word's size at each offset that is
    /// asked for.
    #[inline(always)]
    pub(crate) unsafe fn at(address: u64) -> Self {
        Self(address)
    }
}

impl Structure for Typed {
    #[inline(always)]
    fn word(&self, offset: u32) -> u64 {
        let address = self.0.wrapping_add(u64::from(offset));
        // SAFETY: by the constructor's contract; the kernel handles a fault, and the load gives zero then.
        unsafe { (address as *const u64).read_volatile() }
    }
}

/// Reads a zero-terminated string into `place` and returns how many bytes it takes with the terminating
/// zero. Where it can't be read, as behind a NULL pointer, it comes out empty.
///
/// # Safety
/// `place` points to `N` writable bytes.
#[inline(always)]
pub(crate) unsafe fn kernel_string<const N: usize>(address: u64, place: *mut [u8; N]) -> i64 {
    // SAFETY: the place is writable by contract; the helper checks the address, and fills the place with
    // zeros where it fails.
    unsafe { bpf_probe_read_kernel_str(place.cast(), N as u32, address as *const c_void) }
}
