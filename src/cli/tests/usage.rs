//! What is no command at all.

use super::*;

#[test]
fn secrets_are_no_arguments_and_wrong_usage_is_code_2() {
    for wrong in [
        vec!["account", "add", "main", "--secret", "hunter2"],
        vec!["account", "add"],
        vec![
            "account",
            "add",
            "a",
            "--credentials-stdin",
            "--credentials-file",
            "f",
        ],
        vec!["automation", "check", "--type", "margin_guard"],
        vec!["automation", "check", "--type", "dance", "--rule", "{}"],
        vec![
            "automation",
            "check",
            "--type",
            "margin_guard",
            "--rule",
            "{}",
            "--price",
            "-1",
        ],
        vec!["execution", "list", "--state", "asleep"],
        vec![
            "execution",
            "resolve",
            "00000000-0000-0000-0000-000000000001",
            "--as",
            "done",
        ],
        vec!["migrate", "--rollback", "1"],
    ] {
        let typed = ["vigia"].into_iter().chain(wrong.iter().copied());
        let error = Cli::try_parse_from(typed).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{wrong:?}");
    }
}
