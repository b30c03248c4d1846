//! How much memory the process takes.
//!
//! The engine bounds what it stores, not what one expression makes: a vector of two thousand long texts
//! exists before anybody can count it, and no interrupt is looked at meanwhile. Refusing memory to the whole
//! process is no way out: the engine takes that for an error, but everything else ends the process.

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
