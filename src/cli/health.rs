//! `vigia health`: whether the service is alive and gets on, for whoever restarts it if not.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Global;
use super::output::{note, say};
use crate::admin::Access;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What `vigia health` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ask whether every account has been read, as well
    #[arg(long)]
    ready: bool,
}

pub(crate) async fn run(global: Global, args: Args) -> Result<ExitCode> {
    let settings = global.settings()?;
    let folder = settings.data_dir.display();
    let Some(access) = Access::read(&settings.data_dir) else {
        bail!(
            "no service answers for the data folder {folder}: it runs not, or not yet, or without \
             HTTP (admin.listen is empty), or its folder is another one (--data-dir)"
        );
    };
    let route = if args.ready { "readyz" } else { "healthz" };
    let client = reqwest::Client::builder()
        .timeout(ANSWER_WITHIN)
        .no_proxy()
        .build()?;
    let asking = client.get(format!("http://{}/{route}", access.address));
    let answer = asking.send().await.with_context(|| {
        format!(
            "the service of the data folder {folder} does not answer at {}",
            access.address
        )
    })?;
    let well = answer.status().is_success();
    let told = answer.text().await?;
    if well {
        say(told.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    note(told.trim_end());
    Ok(ExitCode::FAILURE)
}
