//! `vigia simulator`: the exchange alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::Global;
use super::output::say;
use crate::simulator::{
    ALL_SCOPES, AccountConfig, Cadence, Certificate, Limits, Simulator, SimulatorConfig,
    SimulatorError, Speed, Tape,
};

/// What `vigia simulator` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address to listen on: REST under http://ADDR/v3, stream at ws://ADDR/v1, control and ledger
    /// under http://ADDR/_control/
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8444")]
    listen: SocketAddr,
    /// An account; may be given more than once. For made-up credentials only
    #[arg(long = "account", value_name = "KEY:SECRET:PASSPHRASE:BALANCE_SATS")]
    accounts: Vec<AccountConfig>,
    /// Keys with all scopes, as other clients may need them; otherwise those that trading needs
    #[arg(long)]
    all_scopes: bool,
    /// Prices from a CSV file with the columns time,open,high,low,close
    #[arg(long, value_name = "FILE", conflicts_with = "walk")]
    prices: Option<PathBuf>,
    /// Prices from an endless random walk of this seed [default: walk 1]
    #[arg(long, value_name = "SEED")]
    walk: Option<u64>,
    /// Tape seconds per second, or `max`
    #[arg(long, default_value = "1")]
    speed: Speed,
    /// How often prices are pushed: `every-tick`, or so many times a second
    #[arg(long, default_value = "10")]
    cadence: Cadence,
    /// Difference of ask and bid in USD: 0, or an even number
    #[arg(long, value_name = "USD", default_value = "0")]
    spread: f64,
    /// Funding rate at the start: 0.0001 is 0.01 %, paid by longs every 8 hours of the tape
    #[arg(
        long,
        value_name = "RATE",
        default_value = "0.0001",
        allow_negative_numbers = true
    )]
    funding_rate: f64,
    /// Without rate and socket limits
    #[arg(long)]
    no_limits: bool,
    /// Serve https and wss instead, with a certificate made for it, which is written here for
    /// clients to trust (LN_MARKETS_CA_FILE)
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Wait with the prices until POST /_control/tape {"action": "start"}
    #[arg(long)]
    paused: bool,
}

pub(crate) async fn run(global: Global, args: Args) -> Result<ExitCode> {
    let settings = global.settings()?;
    super::start_logging(settings.log.format, &settings.log.filter);
    let tape = match &args.prices {
        Some(path) => Tape::from_csv(path)?,
        None => Tape::endless_walk(args.walk.unwrap_or(1)),
    };
    let mut accounts = args.accounts;
    if args.all_scopes {
        for account in &mut accounts {
            account.permissions = ALL_SCOPES.map(str::to_owned).to_vec();
        }
    }
    let tls = match &args.tls_ca {
        Some(path) => {
            let certificate = Certificate::generate(args.listen)?;
            std::fs::write(path, certificate.pem())
                .with_context(|| format!("cannot write {}", path.display()))?;
            Some(certificate)
        }
        None => None,
    };
    let ended = super::ended()?;
    let simulator = Simulator::start(SimulatorConfig {
        tls,
        listen: args.listen,
        accounts,
        tape,
        speed: args.speed,
        cadence: args.cadence,
        start_paused: args.paused,
        spread: args.spread,
        funding_rate: args.funding_rate,
        limits: if args.no_limits {
            Limits::off()
        } else {
            Limits::exchange()
        },
        ..SimulatorConfig::default()
    })
    .await
    .map_err(|error| match error {
        SimulatorError::Bind { .. } => {
            anyhow::Error::new(error).context("give another address with --listen")
        }
        other => other.into(),
    })?;
    say(format_args!("REST     {}", simulator.api_url()))?;
    say(format_args!("stream   {}", simulator.stream_url()))?;
    say(format_args!(
        "control  {}/_control/",
        simulator.api_url().trim_end_matches("/v3")
    ))?;
    ended.await;
    simulator.stop().await;
    Ok(ExitCode::SUCCESS)
}
