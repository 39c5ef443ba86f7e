//! `vigia demo`: simulator, accounts, automations and a falling market, on this machine alone.

mod cast;
mod display;
mod effects;
mod owners;
mod stage;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use super::Global;
use crate::app::App;
use crate::domain::execution::State;
use crate::simulator::Speed;
use display::Display;
use stage::Stage;
use summary::Summary;

/// How long executions may take to end after the last price.
const SETTLE_WITHIN: Duration = Duration::from_secs(15);
const SETTLE_BEAT: Duration = Duration::from_millis(20);

/// What `vigia demo` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Accounts; the first 8 play different parts, further ones the same again
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=200))]
    accounts: u32,
    /// Prices from a CSV file with the columns time,open,high,low,close
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Tape seconds per second, or `max` [default: the whole tape in 20 s, a file in 40 s]
    #[arg(long)]
    speed: Option<Speed>,
    /// Seed of the falling market
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Show what happens without guards and other automations
    #[arg(long)]
    without_guards: bool,
    /// Go on until Ctrl-C when the prices have ended
    #[arg(long)]
    keep_running: bool,
    /// The summary as one JSON object, the last line of standard output
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(global: Global, args: Args) -> Result<ExitCode> {
    // The display tells what happens; RUST_LOG shows the log as well.
    super::start_logging(global.log_format.unwrap_or_default(), "off");
    let stage = Stage::set(&global, &args).await?;
    let app = App::start(&stage.settings, false).await?;
    let mut display = Display::new(app.shared.clone(), stage.simulator.control(), args.json);
    display.introduce(&stage, args.without_guards);
    stage.wait_until_guarded(&app.shared).await?;
    let control = stage.simulator.control();
    let owners = stage.owners_entries;
    control.start_tape();
    let stopped = tokio::select! {
        () = display.show() => false,
        () = control.tape_finished() => false,
        () = super::stop_signal()? => true,
    };
    if args.keep_running && !stopped {
        display.note("the prices have ended; Ctrl-C ends the demo");
        tokio::select! {
            () = display.show() => {}
            () = super::stop_signal()? => {}
        }
    }
    settle(&app).await?;
    display.catch_up();
    let summary = Summary::of(&app.shared, &control, &display.seen, owners).await?;
    app.stop().await?;
    let printed = summary.print(args.json);
    let code = summary.exit_code(!args.without_guards);
    stage.clear();
    printed.map(|()| code)
}

/// Waits until every execution has ended.
async fn settle(app: &App) -> Result<()> {
    let clock = app.shared.clock;
    let deadline = clock.mono() + SETTLE_WITHIN;
    loop {
        let counts = app.shared.journal.counts().await?;
        let unfinished = counts.of(State::Planned) + counts.of(State::Sending);
        if unfinished == 0 || clock.mono() >= deadline {
            return Ok(());
        }
        tokio::time::sleep(SETTLE_BEAT).await;
    }
}
