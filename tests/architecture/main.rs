//! The house rules that a compiler does not hold: which room may know which, what stands in
//! `actors.md`, which words are banned, how long a file may be. Every rule is a function from the
//! tree to its violations, so that each is also shown a tree that breaks it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod actors;
mod arrows;
mod house;
mod source;
mod words;

/// Fails with every violation on a line of its own.
fn assert_none(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// The rule sees what is wrong, and names it so.
fn assert_one(violations: &[String], naming: &str) {
    assert_eq!(violations.len(), 1, "{violations:#?}");
    assert!(violations[0].contains(naming), "{violations:#?}");
}
