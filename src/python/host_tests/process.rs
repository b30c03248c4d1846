//! What the host shares with the process: streams, native libraries, the environment.

use super::*;

#[test]
fn print_goes_to_the_log() {
    use std::io::Write;
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    struct Collect(Lines);
    impl tracing::Subscriber for Collect {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            metadata.target() == "mxcp::python"
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            struct Message(String);
            impl tracing::field::Visit for Message {
                fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                    self.0 = format!("{value:?}");
                }
            }
            let mut message = Message(String::new());
            event.record(&mut message);
            let mut lines = self.0.clone();
            writeln!(lines, "{} {}", event.metadata().level(), message.0).expect("written");
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }
    let lines = Lines::default();
    tracing::subscriber::set_global_default(Collect(lines.clone())).expect("the only one");
    let project = Project::new(&[(
        "python/m.py",
        r#"
import logging, sys
def f():
    print("one\ntwo", end="")
    print("warn", file=sys.stderr)
    sys.stdout.buffer.write(b"bytes\n")
    logging.getLogger("mine").error("bad")
    return sys.stdin.read()
"#,
    )]);
    assert_eq!(project.call("python/m.py", "f", &[]), Ok(json!("")));
    let seen = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text");
    for line in ["INFO one", "INFO twobytes", "WARN warn", "ERROR mine: bad"] {
        assert!(seen.lines().any(|l| l == line), "{line} is not in:\n{seen}");
    }
}

#[test]
fn a_virtual_environment_must_fit() {
    let start = |version: &str| {
        let settings = format!("version = {version}\n");
        Project::with(
            &[(".venv/pyvenv.cfg", &settings)],
            Echo::default(),
            |config| {
                config.venv = Some(".venv".into());
            },
        )
        .err()
        .expect("it does not fit")
    };
    let error = start("2.7.18");
    assert!(
        error.message.contains("`.venv` is for Python 2.7.18"),
        "{error}"
    );
    let error = start("");
    assert!(
        error
            .message
            .contains("is not a virtual environment for Python"),
        "{error}"
    );
}

/// Loads the prebuilt libduckdb with global symbols, as the program does, then the libraries that a
/// data project imports. Needs the development environment; says so where it is missing.
#[test]
fn native_libraries_live_beside_libduckdb() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let venv = repository.join(".venv");
    let library = repository.join(".duckdb/libduckdb.so");
    if !library.exists() || !venv.join("pyvenv.cfg").exists() {
        eprintln!("skipped: `make setup` has not run");
        return;
    }
    let project = Project::with(
        &[(
            "python/m.py",
            r#"
def preload(library):
    import ctypes
    ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)

def run():
    import os, sys
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    if hasattr(os, "RTLD_DEEPBIND"):
        assert sys.getdlopenflags() & os.RTLD_DEEPBIND
    model = LogisticRegression().fit(np.array([[0.0], [1.0]]), [0, 1])
    frame = pd.DataFrame({"n": [1, 2], "x": [0.5, float("nan")], "t": pd.to_datetime(["2024-01-02", None])})
    try:
        import duckdb
    except ModuleNotFoundError:
        total = 3
    else:
        total = duckdb.sql("SELECT sum(n)::INTEGER FROM frame").fetchall()[0][0]
    return {"p": int(model.predict([[1.0]])[0]), "frame": frame, "column": frame["n"], "total": total,
            "array": np.array([1, 2]), "when": np.datetime64("2024-01-02"), "none": pd.NA, "nat": pd.NaT,
            "f": np.float32(0.5), "i": np.int64(3), "b": np.bool_(True)}
"#,
        )],
        Echo::default(),
        |config| config.venv = Some(venv),
    )
    .expect("it starts");
    let path = text(library.to_str().expect("a text"));
    project
        .call("python/m.py", "preload", &[("library", path)])
        .expect("loaded");
    assert_eq!(
        project.call("python/m.py", "run", &[]),
        Ok(json!({
            "p": 1,
            "frame": [{"n": 1, "x": 0.5, "t": "2024-01-02T00:00:00"}, {"n": 2, "x": null, "t": null}],
            "column": [1, 2], "total": 3, "array": [1, 2], "when": "2024-01-02T00:00:00",
            "none": null, "nat": null, "f": 0.5, "i": 3, "b": true
        }))
    );
}

#[test]
fn standard_input_and_output_belong_to_the_protocol() {
    use std::io::Write as _;
    const AS_SERVER: &str = "MXCP_TEST_PROTOCOL";
    // The test starts itself once more, as the process whose streams it looks at.
    if std::env::var_os(AS_SERVER).is_some() {
        return protocol_process();
    }
    let mut child = std::process::Command::new(std::env::current_exe().expect("a path"))
        .args([
            "--exact",
            "host_tests::process::standard_input_and_output_belong_to_the_protocol",
            "--nocapture",
        ])
        .env(AS_SERVER, "1")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"request\n").expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(7), "{out}\n{err}");
    assert!(
        out.ends_with("protocol request\n") && !out.contains("noise"),
        "{out}"
    );
    for line in ["native noise", "child noise", "farewell noise"] {
        assert!(err.contains(line), "{line} is not in:\n{err}");
    }
}

fn protocol_process() {
    use std::io::{Read as _, Write as _};
    let mut input = crate::take_stdin().expect("taken");
    let mut protocol = crate::take_stdout().expect("taken");
    let project = Project::new(&[(
        "python/m.py",
        r#"
import atexit, os, subprocess, sys
def f():
    print("printed noise")
    os.write(1, b"native noise\n")
    subprocess.run(["echo", "child noise"], check=True)
    atexit.register(os.write, 1, b"farewell noise\n")
    child = subprocess.run(["cat"], capture_output=True, check=True)
    return [sys.stdin.read(), os.read(0, 10).decode(), child.stdout.decode()]
"#,
    )]);
    assert_eq!(
        project.call("python/m.py", "f", &[]),
        Ok(json!(["", "", ""]))
    );
    let mut request = String::new();
    input.read_to_string(&mut request).expect("read");
    protocol
        .write_all(format!("protocol {request}").as_bytes())
        .expect("written");
    crate::exit_process(7);
}
