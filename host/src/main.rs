//! The `introd` program.

fn main() -> std::process::ExitCode {
    introd::cli::main()
}
