//! Configuration and data folder that cannot be used: an error that names them, and nothing done.

use std::path::Path;

use crate::watchman::{run_to_end, vigia};

/// Runs with a configuration file; it must fail with all these words in its error.
async fn refused(config: &Path, data: &Path, words: &[&str]) {
    let mut command = vigia();
    command.arg("run").arg("--config").arg(config);
    command.arg("--data-dir").arg(data);
    let output = run_to_end(&mut command).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("error: "), "{told}");
    for word in words {
        assert!(told.contains(word), "no `{word}` in: {told}");
    }
}

async fn file_refused(text: &[u8], words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (folder.path().join("vigia.toml"), folder.path().join("data"));
    std::fs::write(&config, text).unwrap();
    refused(&config, &data, &[words, &["vigia.toml"]].concat()).await;
    assert!(!data.exists(), "nothing was begun");
}

#[tokio::test]
async fn an_unknown_key_is_named() {
    file_refused(
        b"[price]\nblind_mss = 1\n",
        &["blind_mss", "config/default.toml"],
    )
    .await;
    file_refused(b"[prices]\nblind_ms = 1\n", &["prices"]).await;
}

#[tokio::test]
async fn a_value_that_cannot_be_is_named_by_its_key() {
    file_refused(b"[price]\nblind_ms = \"soon\"\n", &["price.blind_ms"]).await;
    file_refused(
        b"[store]\ntimeout_ms = 0\n",
        &["store.timeout_ms", "over zero"],
    )
    .await;
    let plain =
        b"[networks.x]\napi_url = \"http://example.com\"\nstream_url = \"ws://localhost\"\n";
    file_refused(plain, &["networks.x.api_url"]).await;
}

#[tokio::test]
async fn a_file_that_is_no_toml_is_named_with_the_line() {
    file_refused(b"[price]\nblind_ms 1\n", &["line 2"]).await;
    file_refused(b"\xff\xfe\x00", &[]).await;
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (folder.path().join("none.toml"), folder.path().join("data"));
    refused(&config, &data, &["none.toml", "--config"]).await;
    assert!(!data.exists());
}

#[tokio::test]
async fn a_data_folder_that_is_a_file_is_named_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (folder.path().join("vigia.toml"), folder.path().join("data"));
    std::fs::write(&config, "").unwrap();
    std::fs::write(&data, "mine").unwrap();
    refused(&config, &data, &[&data.display().to_string(), "--data-dir"]).await;
    assert_eq!(std::fs::read(&data).unwrap(), b"mine");
}

#[tokio::test]
async fn a_missing_master_key_is_named_with_the_command_that_makes_one() {
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (folder.path().join("vigia.toml"), folder.path().join("data"));
    std::fs::write(&config, "").unwrap();
    let key = data.join("master.key").display().to_string();
    refused(&config, &data, &[&key, "vigia key generate"]).await;
    assert!(!data.join("vigia.db").exists());
}

#[tokio::test]
async fn a_key_file_that_holds_no_key_or_that_others_can_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (folder.path().join("vigia.toml"), folder.path().join("data"));
    std::fs::write(&config, "").unwrap();
    std::fs::create_dir(&data).unwrap();
    let key = data.join("master.key");
    std::fs::write(&key, "no key\n").unwrap();
    let mode = |mode| std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o600);
    refused(&config, &data, &["master.key"]).await;
    mode(0o644);
    refused(&config, &data, &["master.key", "chmod"]).await;
    assert!(!data.join("vigia.db").exists());
}

#[tokio::test]
async fn wrong_usage_is_exit_code_2() {
    for arguments in [
        &["run", "--nonsense"][..],
        &["walk"],
        &["demo", "--accounts", "0"],
    ] {
        let output = run_to_end(vigia().args(arguments)).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--help"));
    }
}
