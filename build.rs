//! Lets binaries and tests find the prebuilt libduckdb and libpython where `make setup` put them.
//! Shared by every crate of the workspace whose tests link DuckDB or Python.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    println!("cargo:rerun-if-env-changed=PYO3_PYTHON");
    if let Some(dir) = env::var_os("DUCKDB_LIB_DIR").and_then(|dir| std::fs::canonicalize(dir).ok())
    {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", dir.display());
    }
    if let Some((dir, name)) = libpython() {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{dir}");
        println!("cargo:rustc-link-arg=-L{dir}");
        // The prebuilt libduckdb is a Python extension: its symbols must resolve even in a binary
        // that calls no Python, so the linker is told to keep the library.
        if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
            println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
            println!("cargo:rustc-link-arg=-l{name}");
            println!("cargo:rustc-link-arg=-Wl,--as-needed");
        } else {
            println!("cargo:rustc-link-arg=-l{name}");
        }
    }
}

/// The folder and the link name of the interpreter's shared library.
fn libpython() -> Option<(String, String)> {
    let python = env::var_os("PYO3_PYTHON").unwrap_or_else(|| "python3".into());
    let script = "import sysconfig as s; print(s.get_config_var('LIBDIR')); print('python' + s.get_config_var('LDVERSION'))";
    let output = Command::new(python).args(["-c", script]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut lines = text.lines().map(str::to_owned);
    Some((lines.next()?, lines.next()?))
}
