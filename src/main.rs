//! The `mxcp` executable: hands over to [`commands`] and leaves with its exit code.

mod commands;

/// Address space, not memory: what is not used is never there.
const STACK: usize = 1 << 30;
/// As Rust itself leaves after a panic.
const PANICKED: u8 = 101;

fn main() {
    // Queries call each other as deep as the project's models build on each other.
    let worker = std::thread::Builder::new()
        .name("main".into())
        .stack_size(STACK)
        .spawn(|| commands::main(std::env::args_os()));
    let code = match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        // It has said why.
        Ok(Err(_)) => PANICKED,
        Err(_) => commands::main(std::env::args_os()),
    };
    commands::exit(code)
}
