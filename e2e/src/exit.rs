//! Ends a program with an error in one line, and where it arose if `RUST_BACKTRACE=full` asks for that.

use std::process::ExitCode;

/// Status of a program that came to this end; tells the error.
pub fn status(outcome: anyhow::Result<()>) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error:#}");
    if std::env::var("RUST_BACKTRACE").is_ok_and(|asked| asked == "full") {
        eprintln!("{}", error.backtrace());
    }
    ExitCode::FAILURE
}
