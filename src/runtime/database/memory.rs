//! How much memory the process takes, and keeping it from taking more.
//!
//! The engine bounds what it stores, not what one expression makes: a vector of two thousand long texts
//! exists before anybody can count it, and no interrupt is looked at meanwhile. What does stop it is an
//! allocation that fails, which the engine reports as an error.

use std::ffi::c_int;
use std::time::Duration;

/// How often the process is looked at while statements run.
pub(super) const LOOK: Duration = Duration::from_millis(10);

/// What this process holds now, in bytes.
pub(super) fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages << 12)
}

/// What the engine may hold: as set in MiB, or a quarter of what the machine or the container has.
pub(crate) fn of_engine(limit: Option<u64>) -> Option<u64> {
    if let Some(limit) = limit {
        return Some(limit << 20);
    }
    let machine = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = machine.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let machine = line.split_ascii_whitespace().next()?.parse::<u64>().ok()? << 10;
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse::<u64>().ok());
    Some(container.map_or(machine, |most| most.min(machine)) / 4)
}

/// As long as it lives, the process gets no further memory from the system. It must be short: whoever else
/// needs some is refused as well, except from what is mapped already.
#[derive(Debug)]
pub(super) struct Refusing(Limit);

#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Limit {
    soft: u64,
    hard: u64,
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
unsafe extern "C" {
    fn getrlimit(resource: c_int, limit: *mut Limit) -> c_int;
    fn setrlimit(resource: c_int, limit: *const Limit) -> c_int;
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
const DATA: c_int = 2;

impl Refusing {
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    pub(super) fn begin() -> Option<Self> {
        let mut before = Limit { soft: 0, hard: 0 };
        // SAFETY: it only fills the two numbers.
        if unsafe { getrlimit(DATA, &raw mut before) } != 0 {
            return None;
        }
        // With 0 the kernel refuses nothing.
        let none = Limit { soft: 1, ..before };
        // SAFETY: it only reads the two numbers.
        (unsafe { setrlimit(DATA, &raw const none) } == 0).then_some(Self(before))
    }

    #[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
    pub(super) fn begin() -> Option<Self> {
        None
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        // SAFETY: it only reads the two numbers.
        unsafe {
            setrlimit(DATA, &raw const self.0)
        };
    }
}
