//! docs/operating.md, held against the program and the alerts that point into it.

use std::process::Command;

fn text(file: &str) -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    std::fs::read_to_string(format!("{root}/{file}")).unwrap()
}

/// The lines of its shell blocks that run the program, with values for their placeholders.
fn commands() -> Vec<String> {
    const AN_ID: &str = "019ab0c6-8f0e-7d62-a3d5-5b1de3d6a1c7";
    let page = text("docs/operating.md");
    let blocks = page.split("```sh\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap().lines());
    lines
        .filter(|line| line.starts_with("vigia ") || line.starts_with("VIGIA_"))
        .map(|line| {
            line.replace("EXECUTION", AN_ID)
                .replace(" ID", &format!(" {AN_ID}"))
        })
        .collect()
}

#[test]
fn every_command_of_the_page_is_one_that_the_program_knows() {
    let commands = commands();
    assert!(commands.len() > 20, "{commands:#?}");
    // Some of them write files where they stand.
    let folder = tempfile::tempdir().unwrap();
    for command in &commands {
        let asked = format!(
            "vigia() {{ '{}' \"$@\" --help; }}\n{command}",
            env!("CARGO_BIN_EXE_vigia")
        );
        let mut shell = Command::new("sh");
        shell.args(["-ec", &asked]).current_dir(&folder);
        let output = shell.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {told}");
    }
}

/// As a page's heading is pointed to.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .replace(' ', "-")
        })
        .collect()
}

#[test]
fn every_alert_has_its_section_in_the_runbook() {
    let anchors = anchors(&text("docs/operating.md"));
    let alerts = text("config/prometheus/alerts.yml");
    let pointed: Vec<_> = alerts
        .split("docs/operating.md#")
        .skip(1)
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    assert!(pointed.len() >= 13, "{pointed:?}");
    for anchor in pointed {
        assert!(anchors.iter().any(|known| known == anchor), "{anchor}");
    }
    let logs = text("docs/logs.md");
    for anchor in logs.split("operating.md#").skip(1) {
        let anchor = anchor.split(')').next().unwrap();
        assert!(anchors.iter().any(|known| known == anchor), "{anchor}");
    }
}

#[test]
fn every_link_within_the_page_leads_somewhere() {
    let page = text("docs/operating.md");
    let anchors = anchors(&page);
    for link in page
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
    {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        if file.is_empty() {
            assert!(anchors.iter().any(|known| known == anchor), "{link}");
        } else {
            text(&format!("docs/{file}"));
        }
    }
}
