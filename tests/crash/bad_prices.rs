//! Price files and addresses that demo and simulator cannot use.

use std::net::TcpListener;
use std::path::Path;

use crate::watchman::{run_to_end, vigia};

const HEADER: &str = "time,open,high,low,close\n";

/// Both commands must refuse the file, with all these words, and leave nothing behind.
async fn refused(file: &Path, words: &[&str]) {
    let temporary = tempfile::tempdir().unwrap();
    for command in [&["demo"][..], &["simulator", "--listen", "127.0.0.1:0"]] {
        let mut vigia = vigia();
        vigia.args(command).arg("--prices").arg(file);
        vigia.env("TMPDIR", temporary.path());
        vigia.current_dir(temporary.path());
        let output = run_to_end(&mut vigia).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command:?}: {told}");
        let name = file.file_name().unwrap().to_str().unwrap();
        for word in [&["error: ", name], words].concat() {
            assert!(told.contains(word), "{command:?}: no `{word}` in: {told}");
        }
        let left: Vec<_> = temporary.path().read_dir().unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

async fn text_refused(text: &[u8], words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prices.csv");
    std::fs::write(&file, text).unwrap();
    refused(&file, words).await;
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    refused(
        &folder.path().join("none.csv"),
        &["time,open,high,low,close"],
    )
    .await;
    refused(folder.path(), &["time,open,high,low,close"]).await;
}

#[tokio::test]
async fn a_missing_column_is_told() {
    text_refused(
        b"time,open,high,close\n1,1,1,1\n",
        &["line 1", "time,open,high,low,close"],
    )
    .await;
    let short = format!("{HEADER}1641600000,42000,42010,41990\n");
    text_refused(short.as_bytes(), &["line 2", "time,open,high,low,close"]).await;
}

#[tokio::test]
async fn a_value_that_is_no_price_is_named_by_line_and_column() {
    for (value, low) in [
        ("abc", "1"),
        ("0", "0"),
        ("-5", "-5"),
        ("NaN", "1"),
        ("", "1"),
    ] {
        let text = format!("{HEADER}1641600000,42000,42010,{low},{value}\n");
        text_refused(text.as_bytes(), &["line 2", "USD"]).await;
    }
}

#[tokio::test]
async fn garbage_and_an_empty_file_are_refused() {
    text_refused(b"\x00\xff\xfe\n\x01", &[]).await;
    text_refused(b"", &["time,open,high,low,close"]).await;
    text_refused(HEADER.as_bytes(), &["no candles"]).await;
    let garbage = [HEADER.as_bytes(), b"\xff,\xfe,\xfd,\xfc,\xfb\n"].concat();
    text_refused(&garbage, &["line 2"]).await;
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run_to_end(vigia().args(["simulator", "--listen", &address])).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains(&address) && told.contains("--listen"),
        "{told}"
    );
}
