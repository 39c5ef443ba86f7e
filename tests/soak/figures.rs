//! What a process holds, and by how much that grows.

use std::time::Duration;

/// What a process held at a time.
#[derive(Clone, Copy)]
pub struct Sample {
    pub at: Duration,
    /// Memory of its own, KiB: without the text of the program and the maps of files, which the system
    /// reads in as they are used, and takes back as it likes.
    pub memory: f64,
    /// Open files without the sockets that the exchange counts: those come and go with faults, and come
    /// back at the pace that the exchange allows.
    pub files: f64,
    /// Those sockets.
    pub sockets: usize,
}

impl Sample {
    /// `None` where the process has ended, or where a socket was opened or lost just now.
    pub fn of(pid: u32, at: Duration, open_sockets: impl Fn() -> usize) -> Option<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let memory = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))?;
        let sockets = open_sockets();
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
        (sockets == open_sockets()).then_some(())?;
        Some(Self {
            at,
            memory: memory.trim().trim_end_matches(" kB").parse().ok()?,
            files: files as f64 - sockets as f64,
            sockets,
        })
    }
}

/// The middle of each stretch of this length: what is held at rest, whatever a moment's faults add.
pub fn at_rest(samples: &[Sample], stretch: Duration) -> Vec<Sample> {
    let number = |sample: &Sample| sample.at.as_millis() / stretch.as_millis();
    let median = |of: &[Sample], value: fn(&Sample) -> f64| {
        let mut values: Vec<_> = of.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let stretches = samples.chunk_by(|one, next| number(one) == number(next));
    stretches
        .map(|of| Sample {
            memory: median(of, |sample| sample.memory),
            files: median(of, |sample| sample.files),
            ..of[of.len() / 2]
        })
        .collect()
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

#[cfg(test)]
fn sample(second: u64, memory: f64, files: f64) -> Sample {
    Sample {
        at: Duration::from_secs(second),
        memory,
        files,
        sockets: 0,
    }
}

#[test]
fn a_slope_is_what_is_added_in_a_minute() {
    let samples: Vec<_> = (0..10)
        .map(|n| sample(n * 6, 1000.0 + 12.0 * n as f64, 7.0))
        .collect();
    assert!((slope(&samples, |sample| sample.memory) - 120.0).abs() < 1e-6);
    assert!(slope(&samples, |sample| sample.files).abs() < 1e-6);
}

#[test]
fn what_is_held_for_a_moment_is_not_held_at_rest_and_what_stays_is() {
    let burst = |second: u64| if second % 20 < 5 { 200.0 } else { 7.0 };
    let samples: Vec<_> = (0..60)
        .map(|second| sample(second, 1.0, burst(second)))
        .collect();
    let rest = at_rest(&samples, Duration::from_secs(20));
    let files: Vec<_> = rest.iter().map(|sample| sample.files).collect();
    assert_eq!(files, [7.0; 3]);
    let leaking: Vec<_> = (0..60)
        .map(|second| sample(second, 1.0, second as f64))
        .collect();
    let rest = at_rest(&leaking, Duration::from_secs(20));
    assert!((slope(&rest, |sample| sample.files) - 60.0).abs() < 1e-6);
}
