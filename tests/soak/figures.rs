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

/// What was held in a stretch of time.
pub struct Stretch {
    pub at: Duration,
    /// Memory of its own, KiB, in the middle of it.
    pub memory: f64,
    /// Files, as [`Sample::files`], that were open all the time but for a tenth.
    pub files: f64,
    /// The most so far that were open at once.
    pub most: f64,
    pub sockets: usize,
}

/// What was held in stretches of this length.
pub fn stretches(samples: &[Sample], length: Duration) -> Vec<Stretch> {
    let number = |sample: &Sample| sample.at.as_millis() / length.as_millis();
    let mut most = 0.0_f64;
    let stretch = |of: &[Sample]| {
        let memory = sorted(of, |sample| sample.memory);
        let files = sorted(of, |sample| sample.files);
        let middle = of[of.len() / 2];
        most = files.iter().fold(most, |most, open| most.max(*open));
        Stretch {
            at: middle.at,
            memory: memory[memory.len() / 2],
            files: files[files.len() / 10],
            most,
            sockets: middle.sockets,
        }
    };
    samples
        .chunk_by(|one, next| number(one) == number(next))
        .map(stretch)
        .collect()
}

fn sorted(samples: &[Sample], value: fn(&Sample) -> f64) -> Vec<f64> {
    let mut values: Vec<_> = samples.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// By how many KiB memory grew in a minute. The C library keeps what the most requests at once needed,
/// for the next time, and how many there are is a matter of how slowly the exchange answers: time in
/// which there were more than ever before is left out, unless all of it is such.
pub fn growth(stretches: &[Stretch]) -> f64 {
    let (mut grown, mut minutes) = (0.0, 0.0);
    for of in stretches.windows(3) {
        let [before, from, to] = of else { continue };
        if to.most <= before.most {
            grown += to.memory - from.memory;
            minutes += (to.at - from.at).as_secs_f64() / 60.0;
        }
    }
    match stretches {
        _ if minutes > 0.0 => grown / minutes,
        [first, .., last] => {
            (last.memory - first.memory) / (last.at - first.at).as_secs_f64() * 60.0
        }
        _ => 0.0,
    }
}

#[cfg(test)]
fn held(memory: impl Fn(u64) -> f64, files: impl Fn(u64) -> f64) -> Vec<Stretch> {
    let samples: Vec<_> = (0..120)
        .map(|second| Sample {
            at: Duration::from_secs(second),
            memory: memory(second),
            files: files(second),
            sockets: 0,
        })
        .collect();
    stretches(&samples, Duration::from_secs(20))
}

#[cfg(test)]
fn bursts(second: u64) -> f64 {
    if second % 20 < 15 { 107.0 } else { 7.0 }
}

#[test]
fn memory_that_grows_is_seen_beside_bursts_of_requests() {
    let leaks = |second| 10_000.0 + 20.0 * second as f64;
    assert!((growth(&held(leaks, bursts)) - 1200.0).abs() < 1e-6);
    assert!(growth(&held(|_| 10_000.0, bursts)).abs() < 1e-6);
    // Where each burst is greater than all before, everything counts.
    let ever_more = held(leaks, |second| second as f64);
    assert!((growth(&ever_more) - 1200.0).abs() < 1e-6);
}

#[test]
fn what_the_greatest_burst_needed_is_no_growth() {
    let greatest = |second: u64| if second == 65 { 300.0 } else { bursts(second) };
    let memory = |second| if second >= 65 { 16_000.0 } else { 10_000.0 };
    assert!(growth(&held(memory, greatest)).abs() < 1e-6);
}

#[test]
fn files_that_stay_open_are_seen_beside_bursts_of_requests() {
    let files: Vec<_> = held(|_| 0.0, bursts).iter().map(|one| one.files).collect();
    assert_eq!(files, [7.0; 6]);
    let leaks = |second: u64| bursts(second) + (second / 20) as f64;
    let files: Vec<_> = held(|_| 0.0, leaks).iter().map(|one| one.files).collect();
    assert_eq!(files, [7.0, 8.0, 9.0, 10.0, 11.0, 12.0]);
}
