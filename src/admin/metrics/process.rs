//! The process: what it is, and what it takes of the machine.

use super::page::{Page, label};
use crate::actors::Shared;

/// Bytes in a kibibyte, which `/proc` counts in.
const KIB: f64 = 1024.0;

pub(super) fn figures(page: &mut Page, shared: &Shared) {
    page.gauge("vigia_build_info", "Always 1; the version is a label.")
        .is(label("version", env!("CARGO_PKG_VERSION")), 1.0);
    let uptime = shared.clock.mono().as_secs_f64();
    page.gauge("vigia_uptime_seconds", "Since the start of the process.")
        .is(vec![], uptime);
    let dry_run = f64::from(u8::from(shared.dry_run));
    page.gauge("vigia_dry_run", "1 where everything is done but sending.")
        .is(vec![], dry_run);
    let memory = page.gauge(
        "vigia_process_resident_memory_bytes",
        "Memory that the process holds.",
    );
    if let Some(bytes) = resident() {
        memory.is(vec![], bytes);
    }
    let files = page.gauge(
        "vigia_process_open_fds",
        "Files and sockets that the process holds open.",
    );
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        files.is(vec![], open.count() as f64);
    }
}

fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * KIB)
}
