//! Passwords that come in files, against a server that asks for them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::server::Server;
use crate::stage::{Deed, Stage, Windows};
use crate::watchman::{Watchman, run_to_end};

const PASSWORD: &str = "b0a7hunter2";

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_password_of_the_database_comes_in_a_file() {
    let mut stage = Stage::on(Some(Server::start()), Windows::default()).await;
    stage.guarded("alice", Deed::Close).await;
    stage.server().demand_password(PASSWORD);
    let file = stage.config_file().with_file_name("password");
    let with = |stage: &Stage| {
        let mut command = stage.run();
        command.env("DATABASE_PASSWORD_FILE", &file);
        command
    };
    write(&file, &format!("{PASSWORD}\n"), 0o600);
    let watchman = Watchman::of(with(&stage), stage.clock);
    let ready = watchman.until("service.ready").await;
    assert_eq!(ready["live"], 1, "{ready}");
    let log = watchman.log();
    watchman.stop().await;
    assert!(!log.contains(PASSWORD), "{log}");

    for (text, mode, why) in [
        ("another\n", 0o600, "password authentication failed"),
        ("\n", 0o600, "DATABASE_PASSWORD_FILE"),
        (PASSWORD, 0o644, "others may read it"),
    ] {
        write(&file, text, mode);
        let refused = run_to_end(&mut with(&stage)).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(told.contains(why), "{why}: {told}");
        assert!(
            !told.contains(PASSWORD) && !told.contains("another"),
            "{told}"
        );
    }
}
