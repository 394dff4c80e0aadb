//! What a task says that cannot do what it is asked for.

use std::process::Command;

#[test]
fn an_error_is_one_line_unless_a_backtrace_is_asked_for() {
    let check = |backtrace: &str, is_one_line: bool| {
        let mut task = Command::new(env!("CARGO_BIN_EXE_lazymesh-xtask"));
        let task = task.arg("release").env("RUST_BACKTRACE", backtrace);
        let output = task.output().expect("it starts");
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(said.starts_with("error: "), "{said}");
        assert_eq!(
            said.lines().count() == 1,
            is_one_line,
            "{backtrace}: {said}"
        );
    };
    check("0", true);
    check("1", true);
    check("full", false);
}
