//! What a process holds, and by how much that grows.

use std::time::Duration;

/// What a process held at a time.
pub struct Sample {
    pub at: Duration,
    /// Resident memory, KiB.
    pub rss_kib: f64,
    /// Open files and sockets.
    pub fds: f64,
}

impl Sample {
    /// `None` where the process has ended.
    pub fn of(pid: u32, at: Duration) -> Option<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let rss = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        Some(Self {
            at,
            rss_kib: rss.trim().trim_end_matches(" kB").parse().ok()?,
            fds: fds.count() as f64,
        })
    }
}

/// By how much a value grows in a minute, by least squares.
pub fn slope(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    let count = samples.len() as f64;
    let minutes = |sample: &Sample| sample.at.as_secs_f64() / 60.0;
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (mean_at, mean_value) = (mean(&minutes), mean(&value));
    let (mut above, mut below) = (0.0, 0.0);
    for sample in samples {
        let away = minutes(sample) - mean_at;
        above += away * (value(sample) - mean_value);
        below += away * away;
    }
    if below == 0.0 { 0.0 } else { above / below }
}

#[test]
fn a_slope_is_what_is_added_in_a_minute() {
    let samples: Vec<_> = (0..10)
        .map(|n| Sample {
            at: Duration::from_secs(n * 6),
            rss_kib: 1000.0 + 12.0 * n as f64,
            fds: 7.0,
        })
        .collect();
    assert!((slope(&samples, |sample| sample.rss_kib) - 120.0).abs() < 1e-6);
    assert!(slope(&samples, |sample| sample.fds).abs() < 1e-6);
}
