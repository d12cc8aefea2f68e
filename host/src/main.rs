//! The `introd` program.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    introd::cli::main()
}
