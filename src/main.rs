//! The `vigia` command.

fn main() -> std::process::ExitCode {
    vigia::cli::main()
}
