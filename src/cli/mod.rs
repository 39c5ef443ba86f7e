//! The command line. Exit codes: 0 done, 1 failed, 2 wrong usage.

mod account;
mod audit;
mod automation;
mod backtest;
mod by_service;
mod check;
mod context;
mod credentials;
mod demo;
mod execution;
mod format;
mod health;
mod import;
mod job;
mod key;
mod kill_switch;
mod migrate;
mod names;
mod notify;
mod opened;
mod outlook;
mod output;
mod own;
mod preview;
mod protection;
mod rights;
mod rule_check;
mod rule_text;
mod run;
mod service;
mod simulator;
mod status;
mod stored;
mod table;
#[cfg(test)]
mod tests;
mod waiting;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app;
use crate::config::{Environment, Settings, process_environment};
use crate::telemetry::{self, LogFormat};

/// A supervised watchman for LN Markets accounts.
#[derive(Debug, Parser)]
#[command(name = "vigia", version, about, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Global {
    /// Configuration file, laid over the defaults
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of database, master key and lock
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// How log lines look
    #[arg(long, global = true, value_enum)]
    pub log_format: Option<LogFormat>,
}

impl Global {
    /// The settings from defaults, file, environment and options.
    pub fn settings(&self) -> Result<Settings> {
        let environment = Environment(&process_environment);
        let mut settings = Settings::load(self.config.as_deref(), &environment)?;
        if let Some(folder) = &self.data_dir {
            settings.data_dir = folder.clone();
        }
        if let Some(format) = self.log_format {
            settings.log.format = format;
        }
        Ok(settings)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Run(run::Args),
    /// Watch automations guard, close and enter in a falling market, on this machine alone
    Demo(demo::Args),
    /// Run the exchange simulator alone
    Simulator(simulator::Args),
    /// Say whether configuration, store, credentials and rules can be used
    Check(check::Args),
    /// Say how the service is
    Status(status::Args),
    /// Say whether the service is alive and gets on: exit code 0 or 1
    Health(health::Args),
    /// Replay a rule over recorded prices: what it would have done, and saved
    Backtest(backtest::Args),
    #[command(flatten)]
    Stored(stored::Stored),
}

/// Runs the command of the process's arguments.
pub fn main() -> ExitCode {
    app::prepare_process();
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            output::note(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let global = cli.global;
    match cli.command {
        Command::Run(args) => on_actix(|| run::run(global, args)),
        Command::Demo(args) => on_actix(|| demo::run(global, args)),
        Command::Simulator(args) => on_tokio(|| simulator::run(global, args)),
        Command::Check(args) => on_tokio(|| check::run(global, args)),
        Command::Status(args) => on_tokio(|| status::run(global, args)),
        Command::Health(args) => on_tokio(|| health::run(global, args)),
        Command::Backtest(args) => backtest::run(&args),
        Command::Stored(command) => on_tokio(|| stored::run(global, command)),
    }
}

/// Starts logging. What is wrong with the filter is told on it.
fn start_logging(format: LogFormat, filter: &str) {
    if let Some(error) = telemetry::init(format, filter) {
        tracing::warn!(event = "log.filter", error);
    }
}

fn on_actix<F: Future<Output = Result<ExitCode>>>(task: impl FnOnce() -> F) -> Result<ExitCode> {
    actix::System::new().block_on(task())
}

fn on_tokio<F: Future<Output = Result<ExitCode>>>(task: impl FnOnce() -> F) -> Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(task())
}

/// SIGTERM and SIGINT, which do nothing by themselves from now on.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn taken_over() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next of them, also one that came before anybody waited.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Takes over SIGTERM and SIGINT, at once. What it returns resolves at the first of them. Also as the
/// first process of a container, where the system does nothing about them by itself.
fn ended() -> Result<impl Future<Output = ()>> {
    let mut signals = Signals::taken_over()?;
    Ok(async move { signals.next().await })
}

/// Takes over SIGTERM and SIGINT, at once. What it returns resolves at the first of them, also if
/// that came before anybody waited. The second ends the process: the journal makes that safe.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    const ENDED_BY_SIGNAL: i32 = 130;
    let mut signals = Signals::taken_over()?;
    Ok(async move {
        signals.next().await;
        actix_rt::spawn(async move {
            signals.next().await;
            std::process::exit(ENDED_BY_SIGNAL);
        });
    })
}

#[cfg(test)]
mod arguments {
    use clap::CommandFactory;

    /// Names that clash would end the process at the first use of their command.
    #[test]
    fn no_two_options_of_a_command_bear_one_name() {
        super::Cli::command().debug_assert();
    }
}
