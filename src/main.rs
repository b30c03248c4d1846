//! The `mxcp` executable: hands over to [`commands`] and leaves with its exit code.

mod commands;

fn main() {
    let code = commands::main(std::env::args_os());
    commands::exit(code)
}
