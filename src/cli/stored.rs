//! Commands that only touch the store: opens it, carries one out, closes it.

use std::io;
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::by_service::Urgency;
use super::context::{Context, Terminal};
use super::output::Tame;
use super::rule_check::CheckCommand;
use super::service::{Found, Service};
use super::{
    Global, account, audit, automation, by_service, execution, import, job, key, kill_switch,
    migrate, notify, rule_check, waiting, why,
};
use crate::app;
use crate::clock::Clock;
use crate::config::Settings;
use crate::journal::Journal;
use crate::store::folder::{DataFolder, FolderError, describe_holder};
use crate::store::{Claimant, Epoch, Store};

/// What can be done with the store alone.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Stored {
    Account(account::AccountArgs),
    Automation(automation::AutomationArgs),
    Execution(execution::ExecutionArgs),
    Job(job::JobArgs),
    KillSwitch(kill_switch::KillSwitchArgs),
    Notify(notify::NotifyArgs),
    Audit(audit::AuditArgs),
    Migrate(migrate::MigrateArgs),
    Import(import::ImportArgs),
    Key(key::KeyArgs),
    Why(why::WhyArgs),
}

pub(crate) async fn run(global: Global, command: Stored) -> Result<ExitCode> {
    let settings = global.settings()?;
    let clock = Clock::start();
    let mut context = Context {
        out: &mut Tame(io::stdout()),
        notes: &mut Tame(io::stderr()),
        prompt: &mut Terminal,
        now: clock.utc(),
    };
    match carry_out(&command, &settings, &mut context).await {
        // Nobody reads on, as in `vigia audit list | head`: nothing went wrong.
        Err(error) if super::context::is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        other => other.map(|()| ExitCode::SUCCESS),
    }
}

/// Carries a command out under the settings given.
pub(crate) async fn carry_out(
    command: &Stored,
    settings: &Settings,
    context: &mut Context<'_>,
) -> Result<()> {
    use automation::AutomationCommand::Check;
    // Before the store is opened: these need none.
    match command {
        Stored::Key(args) => return key::run(&args.command, &settings.key_file(), context),
        Stored::Notify(notify::NotifyArgs {
            command: notify::NotifyCommand::Test,
        }) => return notify::test(settings, context).await,
        Stored::Import(args) if args.dry_run => {
            return import::preview(args, settings, context).await;
        }
        Stored::Automation(automation::AutomationArgs {
            command:
                Check(CheckCommand {
                    check,
                    account: None,
                }),
        }) => return rule_check::check(check, context),
        _ => {}
    }
    let service = serving(command, settings, context).await?;
    if let Some(service) = &service
        && by_service::carry_out(command, service, context).await?
    {
        return Ok(());
    }
    let (store, folder) = open(command, settings, context).await?;
    let done = with_store(command, settings, &store, service.as_ref(), context).await;
    store.close().await;
    drop(folder);
    done
}

/// The service that a command is to be carried out by, where one runs.
async fn serving(
    command: &Stored,
    settings: &Settings,
    context: &mut Context<'_>,
) -> Result<Option<Service>> {
    let Some(urgency) = by_service::urgency(command) else {
        return Ok(None);
    };
    match Service::find(&settings.data_dir).await? {
        Found::Nobody => Ok(None),
        Found::Service(service) => Ok(Some(service)),
        Found::Mute(error) if urgency == Urgency::Urgent => {
            writeln!(
                context.notes,
                "warning: {error:#}; it is written into the store, which the service obeys"
            )?;
            Ok(None)
        }
        Found::Mute(error) => Err(error.context("nothing was done")),
    }
}

async fn with_store(
    command: &Stored,
    settings: &Settings,
    store: &Store,
    service: Option<&Service>,
    context: &mut Context<'_>,
) -> Result<()> {
    let protections = settings.protections();
    let journal = || Journal::new(store.clone(), Epoch::NONE).protecting(protections);
    match command {
        Stored::Account(args) => account::run(&args.command, settings, store, context).await,
        Stored::Automation(args) => {
            automation::run(&args.command, settings, store, service, context).await
        }
        Stored::Execution(args) => {
            waiting::warn(&settings.data_dir, context)?;
            let journal = match args.adds_an_entry() {
                true => journal().witnessed(&settings.data_dir).await?,
                false => journal(),
            };
            execution::run(&args.command, &journal, context).await
        }
        Stored::Job(args) => {
            let queue = app::job_queue(settings, store, Clock::start())?;
            job::run(&args.command, &settings.queue, &queue, store, context).await
        }
        Stored::KillSwitch(args) => kill_switch::run(&args.command, store, context).await,
        Stored::Why(args) => {
            waiting::warn(&settings.data_dir, context)?;
            why::run(args, settings, &journal(), context).await
        }
        Stored::Notify(args) => notify::run(&args.command, settings, store, context).await,
        Stored::Audit(args) => {
            waiting::warn(&settings.data_dir, context)?;
            audit::run(&args.command, &journal(), &settings.data_dir, context).await
        }
        Stored::Migrate(args) => migrate::run(args, store, context).await,
        Stored::Import(args) => import::run(args, settings, store, context).await,
        Stored::Key(_) => Ok(()),
    }
}

/// Opens the store for a command. Only what is meant to make a database makes one: a mistyped
/// `--data-dir` must not look like an empty service.
async fn open(
    command: &Stored,
    settings: &Settings,
    context: &Context<'_>,
) -> Result<(Store, Option<DataFolder>)> {
    use account::{AccountArgs, AccountCommand::Add, AccountCommand::Credentials};
    let url = settings.database_url();
    let adds = matches!(
        command,
        Stored::Account(AccountArgs { command: Add(_) }) | Stored::Import(_)
    );
    let migrates = matches!(command, Stored::Migrate(args) if !args.check);
    if !adds && !migrates && !Store::exists(&url)? {
        bail!(
            "there is no database yet in {}: `vigia account add NAME` makes one; or name another \
             folder with --data-dir",
            settings.data_dir.display()
        );
    }
    let vault = match command {
        _ if adds => Some(app::open_vault(settings)?),
        Stored::Account(AccountArgs {
            command: Credentials(_),
        }) => Some(app::open_vault(settings)?),
        // Entries of the audit log are bound to one another by a key that it gives.
        Stored::Execution(args) if args.adds_an_entry() => Some(app::open_vault(settings)?),
        Stored::Audit(args) if args.needs_the_key() => Some(app::open_vault(settings)?),
        // To read the account's positions; without it they are said not to have been read.
        Stored::Automation(args) if args.reads_the_exchange() => app::open_vault(settings).ok(),
        Stored::Why(args) if !args.offline => app::open_vault(settings).ok(),
        _ => None,
    };
    // A service that runs would lose its tables under it.
    let holder = describe_holder(context.now);
    let file = Store::file(&url)?;
    let lock = || {
        let mut folder = DataFolder::lock(&settings.data_dir, &holder)?;
        if let Some(file) = &file {
            folder.lock_database(file)?;
        }
        Ok::<_, FolderError>(folder)
    };
    let folder = if migrates { Some(lock()?) } else { None };
    let store = Store::open(&url, vault).await?;
    let store = store
        .with_patience(settings.store_patience())
        .telling(settings.notify.kinds());
    if let Some(folder) = &folder {
        nobody_trades(&store, folder, &holder).await?;
    }
    if !matches!(command, Stored::Migrate(_)) && !store.pending_migrations().await?.is_empty() {
        if !adds {
            bail!("the database is of an earlier version: run `vigia migrate`");
        }
        let folder = lock()?;
        nobody_trades(&store, &folder, &holder).await?;
        store.migrate().await?;
    }
    Ok((store, folder))
}

/// On a shared store the lock on the folder does not say so.
async fn nobody_trades(store: &Store, folder: &DataFolder, holder: &str) -> Result<()> {
    if !store.is_shared() {
        return Ok(());
    }
    let instance = folder.instance()?;
    let claimant = Claimant {
        holder,
        instance: &instance,
    };
    match store.leaseholder(claimant).await? {
        None => Ok(()),
        Some(owner) => bail!(
            "another vigia ({}) trades from this database: stop it first, its tables would change \
             under it",
            owner.holder
        ),
    }
}
