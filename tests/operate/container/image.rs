//! The image as it is run: who it is, what it may write, what it tells, how it ends.

use std::time::Duration;

use vigia::simulator::Fault;

use super::engine::Engine;
use crate::stage::Stage;
use crate::stopwatch::Stopwatch;

/// Much less than any deadline of the service.
const AT_ONCE: Duration = Duration::from_secs(5);
const RULE: &str = r#"{"action":"close_position","metric":"margin_used","margin_threshold":0.7}"#;

impl Engine {
    /// The key and the account, each by a container that is gone afterwards.
    fn prepare(&self) {
        self.machine.run(&self.running("--rm", "key generate"));
        let add = self.running("--rm --interactive", "account add mine --credentials-stdin");
        self.machine.run(&format!(
            "printf 'key-mine\\nsecret-mine\\nphrase-mine\\n' | {add}"
        ));
        let guard = format!("automation add --account mine --type margin_guard --rule '{RULE}'");
        self.machine.run(&self.running("--rm", &guard));
    }

    /// Whether the image's own check finds the service well.
    fn is_well(&self, container: &str) -> (bool, String) {
        self.machine
            .ask(&format!("podman healthcheck run {container}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shipped_image_is_built_and_serves_as_nobody_special() {
    let stage = Stage::in_a_file().await;
    let owner = stage.owner("mine");
    let position = stage.open_position(&owner, 10).await;
    let began = Stopwatch::start();
    let Some(engine) = Engine::with_the_image(&stage) else {
        return;
    };
    let built = began.elapsed();
    let machine = &engine.machine;
    engine.prepare();

    machine.run(&engine.running("--detach --name first", ""));
    engine.until_logged("first", "service.ready");
    let (well, told) = engine.is_well("first");
    assert!(well, "{told}");
    assert_eq!(engine.shows("first", "{{.State.Health.Status}}"), "healthy");
    let period = engine.shows("first", "{{.Config.Healthcheck.Interval}}");
    assert_eq!(period, "30s", "asked again and again");
    let timers = machine.run("systemctl list-timers --no-pager");
    let id = engine.shows("first", "{{.Id}}");
    assert!(timers.contains(&format!("{id}.timer")), "{timers}");

    let pid = engine.shows("first", "{{.State.Pid}}");
    let status = machine.run(&format!("cat /proc/{pid}/status"));
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
    };
    assert_eq!((of("Name:"), of("Uid:")), (vec!["vigia"], vec!["10001"; 4]));
    assert_eq!(of("NSpid:").last(), Some(&"1"), "no shell in between");
    assert_eq!(of("CapBnd:"), ["0000000000000000"]);
    assert_eq!(of("CapEff:"), ["0000000000000000"]);
    assert_eq!(of("NoNewPrivs:"), ["1"]);
    for (what, may) in [
        ("/data/tried", true),
        ("/tried", false),
        ("/usr/tried", false),
    ] {
        let (did, told) = machine.ask(&format!("podman exec first sh -c 'echo x > {what}'"));
        assert_eq!(did, may, "{what}: {told}");
    }

    // The engine's stop: the execution in hand ends first.
    stage
        .closing(&position, Fault::DelayReply { ms: 1500 })
        .await;
    let stopping = Stopwatch::start();
    machine.run("podman stop --time 30 first");
    let stopped = stopping.elapsed();
    assert_eq!(engine.shows("first", "{{.State.ExitCode}}"), "0");
    for event in ["execution.done", "service.stopped"] {
        engine.until_logged("first", event);
    }
    assert_eq!(stage.effects().len(), 1, "{:#?}", stage.effects());
    assert!(stopped < Duration::from_secs(25), "{stopped:?}");

    // What must not be told stands nowhere but on the volume.
    let seen = machine.run(
        "podman inspect first; podman image inspect vigia; podman image history --no-trunc vigia",
    );
    let volume = machine.run("podman volume inspect --format '{{.Mountpoint}}' vigia");
    let volume = volume.trim();
    let key = machine.run(&format!("cat {volume}/master.key"));
    for secret in [key.trim(), "secret-mine", "phrase-mine", "PASSWORD"] {
        assert!(!secret.is_empty() && !seen.contains(secret), "{secret}");
    }

    // Another container on the same volume knows what the first did, and does nothing again.
    stage.control.set_price(crate::stage::START).unwrap();
    let position = stage.open_position(&owner, 10).await;
    machine.run("podman rm first");
    machine.run(&engine.running("--detach --name second", ""));
    engine.until_logged("second", "service.ready");
    stage.closing(&position, Fault::Hang { apply: true }).await;
    machine.run("podman kill --signal TERM second");
    engine.until_logged("second", "service.stopping");
    let again = Stopwatch::start();
    machine.run("podman kill --signal TERM second");
    assert_eq!(machine.run("podman wait second").trim(), "130");
    assert!(again.elapsed() < AT_ONCE, "{:?}", again.elapsed());
    println!(
        "in a container: base and image built in {} ms with a toolchain that had built before; a stop \
         with an answer 1500 ms away took {} ms, a second signal {} ms",
        built.as_millis(),
        stopped.as_millis(),
        again.elapsed().as_millis()
    );

    // Nothing gets done: its check says so.
    let stall = "--env VIGIA_FAILPOINT=automation.fired=stall:300000";
    stage.control.set_price(crate::stage::START).unwrap();
    let position = stage.open_position(&owner, 10).await;
    let options = format!("--detach --name third {stall}");
    machine.write(
        &format!("{volume}/vigia.toml"),
        0o644,
        "[health]\nprogress_ms = 2000\n",
    );
    machine.run(&engine.running(&options, "run --config /data/vigia.toml"));
    engine.until_logged("third", "service.ready");
    stage.endanger(&position);
    engine.until_logged("third", "watchdog.stalled");
    let told = machine.until(
        "podman healthcheck run third && echo well || true",
        |told| !told.contains("well"),
    );
    println!("in a container that stands still the check says: {told}");
    machine.run("podman kill --signal KILL third");
}
